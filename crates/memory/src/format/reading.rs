//! How the bytes of a weight file shall come: a choice, without what it takes.

use std::time::Duration;

/// How long a disk may give nothing before a read is given up, unless something else is asked for: longer than a disk
/// needs to wake, or a file server to start again.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// How the bytes of a weight file come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reading {
    /// Through the system's cache if the file fits into what the machine has free when it is first used, else past it.
    #[default]
    Auto,
    /// Through the system's cache, which keeps what it likes; f32 is used where it lies in the map.
    Cached,
    /// Past the system's cache: what doesn't stay in a place of ours comes from the disk each time, and pushes nothing
    /// of other programs out.
    PastCache,
}
