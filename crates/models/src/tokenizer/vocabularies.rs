//! The vocabularies inside this crate, each unpacked when it is first asked for.

use std::sync::{Arc, OnceLock};

use super::byte_pairs::BytePairs;
use super::encoder::Encoder;
use super::error::TokenizerError;
use super::unigram::T5Vocabulary;
use super::vocabulary::Vocabulary;
use super::words::Words;

/// The vocabularies inside this crate. Clones share what was unpacked.
#[derive(Debug, Clone, Default)]
pub struct Vocabularies {
    clip: Arc<OnceLock<Arc<Vocabulary>>>,
    t5: Arc<OnceLock<Arc<T5Vocabulary>>>,
    qwen: Arc<OnceLock<Arc<BytePairs>>>,
    tekken: Arc<OnceLock<Arc<BytePairs>>>,
}

impl Vocabularies {
    /// CLIP's.
    ///
    /// # Errors
    /// Only if it is damaged.
    pub fn clip(&self) -> Result<Arc<Vocabulary>, TokenizerError> {
        got(&self.clip, Vocabulary::bundled)
    }

    /// An encoder's.
    ///
    /// # Errors
    /// Only if it is damaged.
    pub fn words(&self, encoder: Encoder) -> Result<Arc<dyn Words>, TokenizerError> {
        Ok(match encoder {
            Encoder::ClipL | Encoder::ClipG | Encoder::ClipH => self.clip()?,
            Encoder::T5Xxl => got(&self.t5, T5Vocabulary::bundled)?,
            Encoder::Mistral3 => got(&self.tekken, BytePairs::tekken)?,
            Encoder::Qwen3 | Encoder::Qwen25 => got(&self.qwen, BytePairs::qwen)?,
        })
    }
}

fn got<T>(
    place: &OnceLock<Arc<T>>,
    make: impl FnOnce() -> Result<T, TokenizerError>,
) -> Result<Arc<T>, TokenizerError> {
    if let Some(there) = place.get() {
        return Ok(there.clone());
    }
    let made = Arc::new(make()?);
    Ok(place.get_or_init(|| made).clone())
}
