//! What can be wrong with a vocabulary, or with an embedding that a prompt names. Knows no prompts: they are never wrong.

use std::path::PathBuf;

use kiln_memory::SourceError;

/// A file that can't be used, or a failure of the library that makes ids.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// An embedding is there and can't be read. Without it, another picture would come out.
    #[error("embedding `{name}`: {error}")]
    Embedding {
        /// Its name in the prompt.
        name: String,
        /// Why.
        error: SourceError,
    },
    /// A file where an embedding should be, without vectors.
    #[error("embedding `{name}`: {} holds no vectors", path.display())]
    NoVectors {
        /// Its name in the prompt.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The gzip stream is damaged or isn't one.
    #[error("the CLIP vocabulary can't be unpacked: {0}")]
    Unpack(#[from] std::io::Error),
    /// Fewer merges than CLIP has.
    #[error("the CLIP vocabulary has {found} merges, {expected} are expected; is it bpe_simple_vocab_16e6.txt.gz?")]
    Short {
        /// Merges found.
        found: usize,
        /// Merges that CLIP has.
        expected: usize,
    },
    /// A merge of symbols that no earlier line makes.
    #[error("line {line} of the CLIP vocabulary, `{text}`, isn't a merge of two known symbols")]
    Merge {
        /// Line number, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// A vocabulary of another kind that can't be used.
    #[error("{name}: {detail}")]
    Vocabulary {
        /// Whose vocabulary it is.
        name: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The tokenizer library gave up.
    #[error("the tokenizer failed: {0}")]
    Library(#[from] tokenizers::Error),
}

impl TokenizerError {
    pub(super) fn vocabulary(name: &'static str, detail: impl Into<String>) -> Self {
        Self::Vocabulary { name, detail: detail.into() }
    }
}
