//! A family's text encoders as one: prompts in, the conditioning tensor its networks were trained on out.

use std::sync::Arc;

use burn::tensor::Device;

use super::encode::{Prompt, encode, join};
use super::encoder::ClipEncoder;
use crate::checkpoint::Encoder as Stage;
use crate::checkpoint::detect::TextEncoderKind;
use crate::nets::clip::Hidden;
use crate::tokenizer::{Chunk, Embeddings, Encoder, Tokenizer, Vocabulary, chunk};
use crate::{checkpoint::TextEncoders, error::ModelError};

/// The text encoders of a model with what encoding a prompt needs beside them.
#[derive(Clone, Copy)]
pub struct PromptEncoder<'a> {
    /// The encoders.
    pub encoders: &'a TextEncoders,
    /// The vocabulary they share.
    pub vocabulary: &'a Arc<Vocabulary>,
    /// Where `embedding:name` is looked up.
    pub embeddings: &'a dyn Embeddings,
    /// CLIPSetLastLayer: which hidden state, counted from the end; the family's own without.
    pub clip_skip: Option<i32>,
    /// Where the encoders run.
    pub device: &'a Device,
}

impl PromptEncoder<'_> {
    /// Encodes one text with every encoder of the family.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode(&self, text: &str) -> Result<Prompt, ModelError> {
        self.encode_two(text, text)
    }

    /// Encodes a text of its own for each of SDXL's encoders (CLIPTextEncodeSDXL); the shorter one gets empty chunks
    /// behind it. Families with one encoder take the text that belongs to it.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode_two(&self, text_l: &str, text_g: &str) -> Result<Prompt, ModelError> {
        self.encoded(text_l, text_g, self.encoders.recipe.projects_pooled)
    }

    /// As [`encode`](Self::encode), with a pooled encoding that is not projected, whatever the family.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode_unprojected(&self, text: &str) -> Result<Prompt, ModelError> {
        self.encoded(text, text, false)
    }

    fn encoded(&self, text_l: &str, text_g: &str, projected: bool) -> Result<Prompt, ModelError> {
        let encoders = &self.encoders.encoders;
        let tokenize =
            |Stage { role, .. }: &Stage| self.chunks(*role, if *role == TextEncoderKind::G { text_g } else { text_l });
        let mut chunked = encoders.iter().map(tokenize).collect::<Result<Vec<_>, _>>()?;
        let longest = chunked.iter().map(Vec::len).max().unwrap_or(1);
        let mut joined: Option<Prompt> = None;
        for (Stage { role, model, .. }, chunks) in encoders.iter().zip(&mut chunked) {
            let pad = kind_of(*role).pad();
            if text_l != text_g {
                chunks.resize_with(longest, || chunk::empty(pad));
            }
            let encoder = ClipEncoder { model, hidden: self.hidden(), projected, device: self.device };
            let prompt = encode(&encoder, chunks, pad)?;
            joined = Some(match joined {
                Some(first) => join(first, prompt),
                None => prompt,
            });
        }
        joined.ok_or_else(|| ModelError::Unrecognised {
            what: "a set of text encoders".to_owned(),
            detail: "it is empty".to_owned(),
        })
    }

    fn hidden(&self) -> Hidden {
        let own = self.encoders.recipe.hidden;
        Hidden { layer: self.clip_skip.unwrap_or(own.layer), norm: own.norm }
    }

    fn chunks(&self, role: TextEncoderKind, text: &str) -> Result<Vec<Chunk>, ModelError> {
        let tokenizer = Tokenizer::new(self.vocabulary.clone(), kind_of(role));
        tokenizer.tokenize(text, self.embeddings).map_err(|error| ModelError::Text(error.into()))
    }
}

impl std::fmt::Debug for PromptEncoder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PromptEncoder").field("clip_skip", &self.clip_skip).finish_non_exhaustive()
    }
}

fn kind_of(role: TextEncoderKind) -> Encoder {
    match role {
        TextEncoderKind::L => Encoder::ClipL,
        TextEncoderKind::H => Encoder::ClipH,
        TextEncoderKind::G => Encoder::ClipG,
    }
}
