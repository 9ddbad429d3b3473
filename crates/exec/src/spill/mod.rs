//! Spilling: how values leave memory for a while and come back unchanged.
//!
//! A payload offers [`Spillable`](crate::Spillable); a [`Spill`] is the place that a socket's list goes to. Knows nothing
//! of runs: the output store says when. Files are the business of [`FileSpill`] alone.

mod code;
mod file;
mod place;

pub use self::file::FileSpill;
pub use self::place::{Spill, Spilled};
