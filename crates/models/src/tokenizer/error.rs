//! What can be wrong with a vocabulary. Knows no prompts: they are never wrong.

/// A vocabulary file that can't be used, or a failure of the library that uses it.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
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
    /// The tokenizer library gave up.
    #[error("CLIP's tokenizer failed: {0}")]
    Library(#[from] tokenizers::Error),
}
