//! How much of the history is kept.

/// How much of the history is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) entries: u64,
    /// Of all entries.
    pub(crate) bytes: u64,
}
