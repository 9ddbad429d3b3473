//! The place that a socket's list goes to, and what stands for it there.

use std::io;

use crate::value::Values;

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
