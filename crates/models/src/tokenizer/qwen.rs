//! Qwen's byte-level vocabulary: the ranks of its merges and its special tokens. Qwen 2, 2.5 and 3 share it.
//!
//! Sources: Alibaba's `qwen.tiktoken` (in `dashscope` 2.0.2); transformers `Qwen2Tokenizer` for pattern and composition.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::byte_pairs::{BytePairs, Parts};
use super::error::TokenizerError;
use super::unpack::unpacked;

const NAME: &str = "Qwen's vocabulary";
const BUNDLED: &[u8] = include_bytes!("../../assets/tokenizers/qwen2.tiktoken.gz");
/// The id of `<|endoftext|>`: behind all merges, before the other special tokens. Also the padding.
pub const QWEN_PAD: u32 = 151_643;
/// The id of `<|im_start|>`, which begins a message.
pub const QWEN_START: u32 = 151_644;
/// The id of `<|image_pad|>`, in whose place an image's rows are put.
pub const QWEN_IMAGE: u32 = 151_655;

const WORD: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const SPECIALS: [&str; 26] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|img|>",
    "<|endofimg|>",
    "<|meta|>",
    "<|endofmeta|>",
];

impl BytePairs {
    /// Qwen's vocabulary, which comes with this crate.
    ///
    /// # Errors
    /// Only if the built-in file is damaged.
    pub fn qwen() -> Result<Self, TokenizerError> {
        let text = String::from_utf8(unpacked(NAME, BUNDLED)?)
            .map_err(|error| TokenizerError::vocabulary(NAME, format!("it isn't text: {error}")))?;
        let mut ranks = HashMap::with_capacity(QWEN_PAD as usize);
        for (line, entry) in (1..).zip(text.lines()) {
            let read = entry
                .split_once(' ')
                .and_then(|(bytes, rank)| Some((STANDARD.decode(bytes).ok()?, rank.parse().ok()?)));
            let (bytes, rank): (Vec<u8>, u32) = read.ok_or_else(|| {
                TokenizerError::vocabulary(NAME, format!("line {line}, `{entry}`, isn't base64 and a rank"))
            })?;
            ranks.insert(bytes.into_boxed_slice(), rank);
        }
        let specials = SPECIALS.into_iter().map(str::to_owned).zip(QWEN_PAD..).collect();
        Self::new(Parts { name: NAME, ranks, offset: 0, specials, pattern: WORD, composed: true })
    }
}
