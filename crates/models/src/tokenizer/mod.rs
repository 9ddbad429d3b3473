//! CLIP's tokenizer as ComfyUI uses it: prompts with weights and embeddings to chunks of 77 tokens.
//!
//! Knows text and ids. Knows nothing of networks: what an embedding's vectors mean is the text encoder's business.
//!
//! A prompt goes through [`parse_weights`] (segments with weights), `embedding.rs` (names of
//! textual inversions), [`Vocabulary::encode`] (ids) and `chunk.rs` (rows of 77); [`Tokenizer`] does
//! all of it.

pub(crate) mod chunk;
pub(crate) mod embedding;
mod encoder;
mod error;
mod folder;
mod prompt;
mod vocabulary;

use std::sync::Arc;

use chunk::Group;

pub use crate::nets::clip::Token;
pub use chunk::{CHUNK, Chunk, WeightedToken};
pub use embedding::{Embeddings, Found, NoEmbeddings};
pub use encoder::Encoder;
pub use error::TokenizerError;
pub use folder::EmbeddingFolders;
use prompt::unescape;
pub use prompt::{Segment, parse_weights};
pub use vocabulary::{END, START, Vocabulary};

/// Prompts to chunks for one text encoder.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Arc<Vocabulary>,
    encoder: Encoder,
}

impl Tokenizer {
    /// A tokenizer over a vocabulary that others may share.
    pub fn new(vocabulary: Arc<Vocabulary>, encoder: Encoder) -> Self {
        Self { vocabulary, encoder }
    }

    /// A tokenizer over the vocabulary that comes with this crate.
    ///
    /// # Errors
    /// Only if that vocabulary is damaged.
    pub fn bundled(encoder: Encoder) -> Result<Self, TokenizerError> {
        Ok(Self::new(Arc::new(Vocabulary::bundled()?), encoder))
    }

    /// Which encoder the chunks are for.
    pub fn encoder(&self) -> Encoder {
        self.encoder
    }

    /// Tokenizes a prompt: weights, escapes, embeddings, chunks. An empty prompt is one chunk.
    ///
    /// # Errors
    /// Of [`Vocabulary::encode`], and of an embedding that is there and can't be read.
    pub fn tokenize(&self, prompt: &str, embeddings: &dyn Embeddings) -> Result<Vec<Chunk>, TokenizerError> {
        let mut groups = Vec::new();
        for segment in parse_weights(prompt) {
            let text = unescape(&segment.text);
            for part in embedding::split(&text) {
                groups.extend(self.groups(&part, segment.weight, embeddings)?);
            }
        }
        Ok(chunk::fill(groups, self.encoder.pad()))
    }

    /// The groups of a part: the embedding it starts with and the text behind, or the text alone.
    fn groups(&self, part: &str, weight: f64, embeddings: &dyn Embeddings) -> Result<Vec<Group>, TokenizerError> {
        let Some((found, leftover)) = embedding::resolve(part, self.encoder, embeddings)? else {
            return Ok(vec![self.text_group(part, weight)?]);
        };
        let vectors = found.map(|found| found.into_iter().map(Token::Vector).collect());
        let mut groups: Vec<Group> = vectors.map(|tokens| Group { tokens, weight }).into_iter().collect();
        if !leftover.is_empty() {
            groups.push(self.text_group(&leftover, weight)?);
        }
        Ok(groups)
    }

    fn text_group(&self, text: &str, weight: f64) -> Result<Group, TokenizerError> {
        let tokens = self.vocabulary.encode(text)?.into_iter().map(Token::Id).collect();
        Ok(Group { tokens, weight })
    }
}
