//! Tokenizers as ComfyUI uses them: prompts with weights and embeddings to chunks of 77 tokens, or to one row.
//!
//! Knows text and ids. Knows nothing of networks: what an embedding's vectors mean is the text encoder's business.
//!
//! A prompt goes through [`parse_weights`] (segments with weights), `embedding.rs` (names of
//! textual inversions), [`Words::encode`] (ids) and, for CLIP, `chunk.rs` (rows of 77), for the others `row.rs` (one row of
//! any length); [`Tokenizer`] and [`RowTokenizer`] do all of it. [`template`] has the texts that families put around a
//! prompt.
//!
//! | [`Words`] | of | made by |
//! |---|---|---|
//! | [`Vocabulary`] | CLIP | `tokenizers`: byte pairs of lower-case words |
//! | [`T5Vocabulary`] | T5 v1.1 | `tokenizers`: unigram pieces |
//! | [`BytePairs`] | Qwen 2 to 3, Mistral's tekken | ranks, merged here; words by `tokenizers` |

mod byte_pairs;
pub(crate) mod chunk;
pub(crate) mod embedding;
mod encoder;
mod error;
mod folder;
mod group;
mod prompt;
mod qwen;
mod row;
mod rules;
mod specials;
mod tekken;
pub mod template;
mod unigram;
mod unpack;
mod vocabularies;
mod vocabulary;
mod words;

use std::sync::Arc;

pub use crate::nets::clip::Token;
pub use byte_pairs::BytePairs;
pub use chunk::{CHUNK, Chunk, WeightedToken};
pub use embedding::{Embeddings, Found, NoEmbeddings};
pub use encoder::Encoder;
pub use error::TokenizerError;
pub use folder::EmbeddingFolders;
pub use prompt::{Segment, parse_weights};
pub use qwen::{QWEN_IMAGE, QWEN_PAD, QWEN_START};
pub use row::RowTokenizer;
pub use rules::RowRules;
pub use tekken::{TEKKEN_PAD, TEKKEN_START};
pub use unigram::{T5_END, T5Vocabulary};
pub use vocabularies::Vocabularies;
pub use vocabulary::{END, START, Vocabulary};
pub use words::Words;

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
        let groups = group::groups(&*self.vocabulary, self.encoder, parse_weights(prompt), embeddings, false)?;
        Ok(chunk::fill(groups, self.encoder.pad()))
    }
}
