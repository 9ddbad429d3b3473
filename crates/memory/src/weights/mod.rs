//! A model's weights by name: a source, an owner, a budget, and per weight what is kept of it. Knows no model's code; with
//! the feature `burn`, weights are burn's tensors.

mod error;
mod handle;
mod model;
mod page_lock;
mod patch;
mod prefetch;
mod read_ahead;
mod residency;
mod staging;
#[cfg(feature = "burn")]
mod tensor;
mod values;

pub use error::MemoryError;
pub use handle::{Weight, Weights};
pub use patch::{Patch, PatchSet};
#[cfg(feature = "testing")]
pub use read_ahead::ReadAhead;
pub use residency::Residency;
#[cfg(feature = "burn")]
pub use tensor::WeightGuard;
pub use values::{Acquired, Values};
