//! While a graph of kernels is being captured nothing may move: the addresses in it are for good.

use super::inner::{Inner, Pager};
use crate::provider::Provider;
use std::{fmt, sync::Arc};

/// A capture met units that were not in place; run without it this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the capture is refused: {missed} units were not in place while it ran")]
pub struct CaptureRefused {
    /// How many.
    pub missed: u64,
}

/// Nothing comes and nothing goes while this lives: an acquisition is a hit or a stream, limits take effect afterwards.
#[must_use = "dropping it lets units move again"]
pub struct Frozen<P: Provider> {
    pager: Arc<Inner<P>>,
}

impl<P: Provider> Pager<P> {
    /// Holds everything where it is, for capturing a graph of kernels.
    pub fn freeze(&self) -> Frozen<P> {
        let mut state = self.inner.lock();
        if state.frozen == 0 {
            state.missed = 0;
        }
        state.frozen += 1;
        drop(state);
        Frozen { pager: self.inner.clone() }
    }
}

impl<P: Provider> Frozen<P> {
    /// Ends it.
    ///
    /// # Errors
    /// [`CaptureRefused`] when something was asked for that wasn't in place: what was captured names a passing address.
    pub fn finish(self) -> Result<(), CaptureRefused> {
        match self.pager.lock().missed {
            0 => Ok(()),
            missed => Err(CaptureRefused { missed }),
        }
    }
}

impl<P: Provider> Drop for Frozen<P> {
    fn drop(&mut self) {
        let mut state = self.pager.lock();
        state.frozen -= 1;
        let mut leaving = state.evict_excess();
        let dead: Vec<usize> =
            (0..state.vbars.len()).filter(|b| state.vbar(*b).is_some_and(|vbar| vbar.dead)).collect();
        leaving.extend(dead.iter().flat_map(|vbar| state.evict_all(*vbar)).collect::<Vec<_>>());
        drop(state);
        self.pager.finish(leaving);
        for vbar in dead {
            self.pager.reap(vbar);
        }
    }
}

impl<P: Provider> fmt::Debug for Frozen<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({} captures)", self.pager.lock().frozen)
    }
}
