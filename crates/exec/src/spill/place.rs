//! The place that a socket's list goes to, and what stands for it there.

use std::sync::Arc;

use crate::codec::{CodecError, Codecs};
use crate::value::Values;

/// Values that went out of memory. Dropping this gives their place back.
pub trait Spilled: Send + Sync {
    /// Brings them back. They may be asked for again.
    ///
    /// # Errors
    /// When they cannot be read, or are not what was written.
    fn load(&self) -> Result<Values, CodecError>;
}

/// A place that takes values which nobody reads now but which must not be computed twice.
pub trait Spill: Send + Sync {
    /// Stores the list of one output; `None` when it holds a payload without a codec, or is not worth it.
    ///
    /// # Errors
    /// When it cannot be written. It then stays in memory, and the run goes on.
    fn store(&self, values: &Values, codecs: &Codecs) -> Result<Option<Box<dyn Spilled>>, CodecError>;
}

/// A place, and the codecs that values are written with.
#[derive(Clone, Copy)]
pub(crate) struct Spilling<'s> {
    pub place: &'s dyn Spill,
    pub codecs: &'s Codecs,
}

impl<'s> Spilling<'s> {
    /// To this place, if there is one.
    pub(crate) fn to(place: Option<&'s Arc<dyn Spill>>, codecs: &'s Codecs) -> Option<Self> {
        place.map(|place| Self { place: &**place, codecs })
    }

    /// Stores a list, if that works. One that cannot go as a whole, or finds no room there, stays.
    pub(crate) fn store(&self, values: &Values) -> Option<Arc<dyn Spilled>> {
        self.place.store(values, self.codecs).map_or_else(
            |error| {
                tracing::warn!(%error, "an output could not be spilled and stays in memory");
                None
            },
            |stored| stored.map(Arc::from),
        )
    }
}
