//! What a text encoder reads: ids of its vocabulary, and vectors put between them.

use std::sync::Arc;

/// One position of a text encoder's input.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A row of the token table.
    Id(u32),
    /// A vector instead of a row (textual inversion). One of another width than the encoder's is left out there.
    Vector(Arc<[f32]>),
}

impl Token {
    /// The end of a text; also CLIP-L's padding.
    pub const END: u32 = 49407;
    /// The start of a text.
    pub const START: u32 = 49406;
}

impl From<u32> for Token {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}
