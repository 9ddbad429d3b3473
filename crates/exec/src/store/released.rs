//! What came of a value that lost a reader, or never had one.

/// What came of a value that lost a reader, or never had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// It is where it was.
    Kept,
    /// It is gone; so many bytes.
    Dropped(u64),
    /// It went out of memory and can come back; so many bytes.
    Spilled(u64),
}
