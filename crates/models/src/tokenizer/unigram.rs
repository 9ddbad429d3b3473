//! T5's vocabulary: pieces with scores, of which the best path makes up a text.
//!
//! Sources: Kudo 2018 (unigram language models); transformers 4.57 `T5TokenizerFast`, whose steps the same library runs
//! here.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{Precompiled, Replace, Sequence, Strip, replace::ReplacePattern};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::error::TokenizerError;
use super::unpack::unpacked;
use super::words::Words;

const NAME: &str = "T5's vocabulary";
const BUNDLED: &[u8] = include_bytes!("../../assets/tokenizers/t5.json.gz");
/// The id behind the last token of a text.
pub const T5_END: u32 = 1;

#[derive(Deserialize)]
struct File {
    pieces: Vec<(String, f64)>,
    unk_id: usize,
    charsmap: String,
}

/// The 32100 pieces of T5 v1.1 and how a text becomes a row of them.
pub struct T5Vocabulary {
    pipeline: Pipeline,
}

impl T5Vocabulary {
    /// The vocabulary that comes with this crate.
    ///
    /// # Errors
    /// Only if the built-in file is damaged.
    pub fn bundled() -> Result<Self, TokenizerError> {
        let json = unpacked(NAME, BUNDLED)?;
        let file: File = serde_json::from_slice(&json)
            .map_err(|error| TokenizerError::vocabulary(NAME, format!("it isn't a list of pieces: {error}")))?;
        Ok(Self { pipeline: pipeline(file)? })
    }
}

impl Words for T5Vocabulary {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.pipeline.encode_fast(text, false)?.get_ids().to_vec())
    }
}

impl std::fmt::Debug for T5Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("T5Vocabulary").field("pieces", &self.pipeline.get_vocab_size(true)).finish_non_exhaustive()
    }
}

/// Steps and settings of transformers' `T5TokenizerFast`.
fn pipeline(file: File) -> Result<Pipeline, TokenizerError> {
    let damaged = |what: &str| TokenizerError::vocabulary(NAME, format!("its normalising map {what}"));
    let map = STANDARD.decode(&file.charsmap).map_err(|error| damaged(&format!("isn't base64: {error}")))?;
    let map = Precompiled::from(&map).map_err(|error| damaged(&format!("can't be read: {error}")))?;
    let blanks = Replace::new(ReplacePattern::Regex(" {2,}".to_owned()), "▁")?;
    let mut pipeline = Pipeline::new(Unigram::from(file.pieces, Some(file.unk_id), false)?);
    let steps = vec![map.into(), Strip::new(false, true).into(), blanks.into()];
    pipeline.with_normalizer(Some(Sequence::new(steps)))?;
    pipeline.with_pre_tokenizer(Some(Metaspace::new('▁', PrependScheme::First, true)));
    let extra = (0..100).map(|n| format!("<extra_id_{n}>"));
    let specials = ["<pad>", "</s>", "<unk>"].into_iter().map(str::to_owned).chain(extra);
    pipeline.add_special_tokens(specials.map(|text| AddedToken::from(text, true)))?;
    Ok(pipeline)
}
