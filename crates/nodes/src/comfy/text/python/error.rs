//! Why a pattern can't be used. Knows Python's words for it.

/// Why a pattern, a replacement or a search has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::comfy::text) enum PatternError {
    /// Python has no such pattern either.
    #[error("{what} at position {at}")]
    Python {
        /// What Python says of it.
        what: String,
        /// The character at which it goes wrong, from 0.
        at: usize,
    },
    /// Python has it, and Kiln does not.
    #[error("this is a pattern of Python's that Kiln can't run: {0}")]
    Unsupported(String),
    /// The search was given up.
    #[error("this pattern tries too many ways through this text ({0}); a repeat within a repeat is the usual cause")]
    Endless(String),
}

impl PatternError {
    /// An error of Python's at a place of the pattern.
    pub(super) fn python(what: impl Into<String>, at: usize) -> Self {
        Self::Python { what: what.into(), at }
    }

    /// Groups of this pattern may keep another part than Python's.
    pub(super) fn unsure_group() -> Self {
        Self::Unsupported("what a group keeps that may be empty and is repeated".to_owned())
    }
}
