//! Blocks of a transformer that a pass leaves out.

/// Blocks by their numbers, of the two kinds that transformers have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedBlocks {
    /// Blocks with weights of their own for prompt and image.
    pub double: Vec<usize>,
    /// Blocks that treat both alike.
    pub single: Vec<usize>,
}

impl SkippedBlocks {
    /// Whether none is left out.
    pub fn is_empty(&self) -> bool {
        self.double.is_empty() && self.single.is_empty()
    }
}
