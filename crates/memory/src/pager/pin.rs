//! Guards: a unit that is being read, and one that is being filled. The only way to a unit's bytes.
#![allow(unsafe_code)]

use super::{
    inner::Inner,
    state::{ContentKey, Place, Status},
};
use crate::provider::{Provider, ProviderError, Write};
use std::{fmt, ops::Deref, ptr::NonNull, sync::Arc};

/// What an acquisition returns. It is always possible to go on with it.
#[derive(Debug)]
pub enum Acquisition<P: Provider> {
    /// The unit is here and holds what was asked for.
    Hit(Pin<P>),
    /// There is room for it here; fill it.
    Fill(Vacant<P>),
    /// It can't stay here now: bring its bytes some other way, for this use.
    Stream,
}

/// A unit in use. It stays where it is, as it is, until the last pin on it is dropped.
///
/// The bytes can't outlive the pin:
/// ```compile_fail,E0597
/// # use kiln_memory::{Budget, Kind, pager::{Acquisition, ContentKey, Pager}, provider::HostVm};
/// # let pager = Pager::new(HostVm::new(), 1 << 20);
/// # let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 4096).unwrap();
/// # let unit = vbar.add_unit(16).unwrap();
/// let bytes: &[u8];
/// {
///     let Acquisition::Fill(vacant) = vbar.acquire(unit, ContentKey(1)) else { panic!() };
///     let pin = vacant.fill(&mut |to| { to.fill(7); Ok(()) }).unwrap();
///     bytes = &*pin;
/// } // the pin goes here
/// assert_eq!(bytes[0], 7);
/// ```
/// Within its life they can be read:
/// ```
/// # use kiln_memory::{Budget, Kind, pager::{Acquisition, ContentKey, Pager}, provider::HostVm};
/// # let pager = Pager::new(HostVm::new(), 1 << 20);
/// # let vbar = pager.register(Budget::unlimited("host").account("unet", Kind::Weights), 4096).unwrap();
/// # let unit = vbar.add_unit(16).unwrap();
/// let Acquisition::Fill(vacant) = vbar.acquire(unit, ContentKey(1)) else { panic!() };
/// let pin = vacant.fill(&mut |to| { to.fill(7); Ok(()) }).unwrap();
/// assert_eq!(pin[..], [7; 16]);
/// assert!(matches!(vbar.acquire(unit, ContentKey(1)), Acquisition::Hit(_)));
/// ```
#[must_use = "dropping a pin lets the unit go"]
pub struct Pin<P: Provider> {
    pager: Arc<Inner<P>>,
    place: Place,
    address: Option<NonNull<u8>>,
    bytes: usize,
}

// SAFETY: the address is only ever read through, and what it points to isn't written while the pin lives.
unsafe impl<P: Provider> Send for Pin<P> {}
// SAFETY: as above.
unsafe impl<P: Provider> Sync for Pin<P> {}

impl<P: Provider> Pin<P> {
    pub(super) fn new(pager: Arc<Inner<P>>, place: Place, address: Option<NonNull<u8>>, bytes: usize) -> Self {
        Self { pager, place, address, bytes }
    }
}

impl<P: Provider> Deref for Pin<P> {
    type Target = [u8];

    /// The unit's bytes; empty where the host can't read the device's memory.
    fn deref(&self) -> &[u8] {
        match self.address {
            // SAFETY: the unit is resident and pinned: its pages are committed, its fill is done, and neither a
            // decommit nor another fill happens before the last pin is gone. The provider belongs to the pager alone.
            Some(address) => unsafe { std::slice::from_raw_parts(address.as_ptr(), self.bytes) },
            None => &[],
        }
    }
}

impl<P: Provider> AsRef<[u8]> for Pin<P> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<P: Provider> Drop for Pin<P> {
    fn drop(&mut self) {
        self.pager.release(self.place);
    }
}

impl<P: Provider> fmt::Debug for Pin<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({:?}, {} bytes)", self.place, self.bytes)
    }
}

/// A unit whose pages are here and whose bytes are not. Dropped unfilled, the pages go again.
#[must_use = "an unfilled unit goes again when this is dropped"]
pub struct Vacant<P: Provider> {
    pager: Arc<Inner<P>>,
    place: Place,
    key: ContentKey,
    filled: bool,
    /// How often the device had been lost when this was made; `None` when it is lost now.
    losses: Option<u64>,
}

impl<P: Provider> Vacant<P> {
    pub(super) fn new(pager: Arc<Inner<P>>, place: Place, key: ContentKey, losses: u64) -> Self {
        Self { pager, place, key, filled: false, losses: Some(losses) }
    }

    /// A unit of a device that is gone: filling it says so.
    pub(super) fn lost(pager: Arc<Inner<P>>, place: Place) -> Self {
        Self { pager, place, key: ContentKey::UNPATCHED, filled: false, losses: None }
    }

    /// Fills the unit with what `write` writes, and pins it.
    ///
    /// # Errors
    /// What `write` or the copy failed with; the unit is gone then, as if it had never come.
    /// [`ProviderError::DeviceLost`] fails this use; the next acquisition asks for the device again.
    pub fn fill(mut self, write: Write<'_>) -> Result<Pin<P>, ProviderError> {
        let losses = self.losses.ok_or(ProviderError::DeviceLost)?;
        let len = self.pager.copy_in(self.place, write).inspect_err(|error| {
            if let ProviderError::DeviceLost = error {
                self.pager.lose();
            }
        })?;
        let mut state = self.pager.lock();
        if state.losses != losses {
            return Err(ProviderError::DeviceLost);
        }
        if let Some(vbar) = state.vbar_mut(self.place.vbar) {
            vbar.counters.fills += 1;
            vbar.counters.filled_bytes += len as u64;
            if let Some(unit) = vbar.units.get_mut(self.place.unit) {
                (unit.status, unit.key) = (Status::Resident, Some(self.key));
            }
        }
        drop(state);
        self.filled = true;
        Ok(self.pager.pin(self.place))
    }
}

impl<P: Provider> Drop for Vacant<P> {
    fn drop(&mut self) {
        if self.filled || self.losses.is_none() {
            return;
        }
        let eviction = {
            let mut state = self.pager.lock();
            if let Some(unit) = state.unit_mut(self.place) {
                (unit.status, unit.key, unit.pins) = (Status::Resident, None, 0);
            }
            state.evict(self.place)
        };
        self.pager.finish(eviction.into_iter().collect());
    }
}

impl<P: Provider> fmt::Debug for Vacant<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vacant({:?})", self.place)
    }
}
