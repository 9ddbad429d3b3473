//! The trait of vocabularies: text to ids, whatever their kind. Knows no prompts and no padding.

use super::error::TokenizerError;

/// A vocabulary that turns texts into ids.
pub trait Words: Send + Sync + std::fmt::Debug {
    /// The ids of a text, without start, end and padding.
    ///
    /// # Errors
    /// [`TokenizerError::Library`]; no text is known to cause it.
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError>;
}
