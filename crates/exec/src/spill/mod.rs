//! Spilling: how values leave memory for a while and come back unchanged.
//!
//! A payload offers [`Spillable`]; a [`Spill`] is the place that a socket's list goes to. Knows nothing of runs: the
//! output store says when. Files are the business of [`FileSpill`] alone.

mod code;
mod file;

pub use self::file::FileSpill;

use std::io::{self, Read, Write};

use crate::value::Value;
use crate::values::Values;

/// Turns bytes back into the value they were written from.
pub type Restore = fn(&mut dyn Read) -> io::Result<Value>;

/// A payload that can be written down and read back.
pub trait Spillable {
    /// Writes everything that [`restore`](Self::restore) needs.
    ///
    /// # Errors
    /// Those of the writer.
    fn spill(&self, to: &mut dyn Write) -> io::Result<()>;

    /// The reader for what [`spill`](Self::spill) writes. It gets exactly those bytes, then the end.
    fn restore(&self) -> Restore;
}

/// Values that went out of memory. Dropping this gives their place back.
pub trait Spilled: Send {
    /// Brings them back. They may be asked for again.
    ///
    /// # Errors
    /// When they cannot be read.
    fn load(&self) -> io::Result<Values>;
}

/// A place that takes values which nobody reads now but which must not be computed twice.
pub trait Spill: Send + Sync {
    /// Stores the list of one output; `None` when it is of a kind that cannot leave memory, or not worth it.
    ///
    /// # Errors
    /// When it cannot be written. It then stays in memory, and the run goes on.
    fn store(&self, values: &Values) -> io::Result<Option<Box<dyn Spilled>>>;
}
