//! Spilling: how values leave memory for a while and come back unchanged.
//!
//! A [`Spill`] is the place that a socket's list goes to, written with the engine's [`Codecs`](crate::Codecs). Knows nothing
//! of runs: the output store and the cache say when. Files are the business of [`FileSpill`] alone.

mod file;
mod place;

pub use self::file::FileSpill;
pub(crate) use self::place::Spilling;
pub use self::place::{Spill, Spilled};
