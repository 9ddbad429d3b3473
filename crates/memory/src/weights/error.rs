//! Why a weight could not be used. Knows which weight; names what is at fault below.

use crate::{budget::OutOfMemory, format::SourceError, provider::ProviderError};

/// Why a weight could not be used. A limit is never among the reasons (the weight is streamed then); that the system
/// hasn't even the memory to stream it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The weight was asked for in a shape that it doesn't have.
    #[error("weight `{weight}` has shape {found:?}, {wanted} was asked for")]
    Shape {
        /// The weight.
        weight: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// What was asked for.
        wanted: String,
    },
    /// Its bytes could not be read or decoded.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The device it was to be brought to is gone.
    #[error("weight `{weight}`: {error}")]
    Device {
        /// The weight.
        weight: String,
        /// What the device's driver said.
        error: ProviderError,
    },
    /// The system has no memory for the one slot that a streamed weight needs, after everyone gave way who could.
    #[error("weight `{weight}` has no place to pass through: {error}")]
    NoSlot {
        /// The weight.
        weight: String,
        /// Who holds what.
        error: Box<OutOfMemory>,
    },
    /// Its patches could not be computed.
    #[error("weight `{weight}`: patch {patch}: {what}")]
    Patch {
        /// The weight.
        weight: String,
        /// The patch, by its name.
        patch: String,
        /// Why.
        what: String,
    },
}
