//! A family's text encoders as one: prompts in, the conditioning tensor its networks were trained on out.

use burn::tensor::{Device, Tensor};

use super::encode::{Prompt, encode, join};
use super::encoder::ClipEncoder;
use super::qwen_image::QwenReader;
use super::rows::{encode_flux2, encode_t5, encode_z_image};
use super::sd3::Sd3Parts;
use crate::checkpoint::Encoder as Stage;
use crate::checkpoint::detect::TextEncoderKind;
use crate::image::Planes;
use crate::nets::clip::Hidden;
use crate::nets::family::{PromptWay, TextNetwork};
use crate::nets::layers::Token;
use crate::nets::llm::LlmModel;
use crate::tokenizer::{
    Chunk, Embeddings, Encoder, RowRules, RowTokenizer, Tokenizer, Vocabularies, WeightedToken, chunk, template,
};
use crate::{checkpoint::TextEncoders, error::ModelError};

/// Tokens that rows of SD3's T5 are filled up to.
const SD3_ROW: usize = 77;
/// Families that read rows were trained on prompts of about so many tokens.
const LONG: usize = 512;

/// The text encoders of a model with what encoding a prompt needs beside them.
#[derive(Clone, Copy)]
pub struct PromptEncoder<'a> {
    /// The encoders.
    pub encoders: &'a TextEncoders,
    /// The vocabularies of those that bring none along.
    pub vocabularies: &'a Vocabularies,
    /// Where `embedding:name` is looked up.
    pub embeddings: &'a dyn Embeddings,
    /// CLIPSetLastLayer: which hidden state, counted from the end; the family's own without.
    pub clip_skip: Option<i32>,
    /// T5TokenizerOptions.
    pub t5: T5Length,
    /// Where the encoders run.
    pub device: &'a Device,
}

/// How long T5's rows are at least, where it isn't the family's own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct T5Length {
    /// Pads behind every row.
    pub min_padding: Option<usize>,
    /// Shorter rows are filled up to this length; 0 for not at all.
    pub min_length: Option<usize>,
}

/// What is to be encoded: a text for each encoder, and what goes with it.
#[derive(Debug, Clone, Copy)]
pub struct PromptTexts<'a> {
    /// For CLIP-L, and for a CLIP that is alone.
    pub l: &'a str,
    /// For CLIP-G.
    pub g: &'a str,
    /// For T5.
    pub t5: &'a str,
    /// For a language model.
    pub language: &'a str,
    /// SD3: whether an empty text is no text at all instead of an empty one.
    pub empty_is_none: bool,
    /// Qwen-Image: images to be looked at, in the order of their marks.
    pub images: &'a [Planes],
    /// Qwen-Image: what stands around the text, with `{}` in its place; the family's own without.
    pub template: Option<&'a str>,
}

impl<'a> PromptTexts<'a> {
    /// The same text for all encoders.
    pub fn all(text: &'a str) -> Self {
        Self { l: text, g: text, t5: text, language: text, empty_is_none: false, images: &[], template: None }
    }
}

impl PromptEncoder<'_> {
    /// Encodes one text with every encoder of the family.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode(&self, text: &str) -> Result<Prompt, ModelError> {
        self.encode_texts(&PromptTexts::all(text))
    }

    /// Encodes a text of its own for each of SDXL's encoders (CLIPTextEncodeSDXL); the shorter one gets empty chunks
    /// behind it. Families with one encoder take the text that belongs to it.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode_two(&self, text_l: &str, text_g: &str) -> Result<Prompt, ModelError> {
        self.encode_texts(&PromptTexts { g: text_g, ..PromptTexts::all(text_l) })
    }

    /// Encodes a text of its own for each encoder, in the way of the family.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode_texts(&self, texts: &PromptTexts<'_>) -> Result<Prompt, ModelError> {
        match self.encoders.recipe.way {
            PromptWay::Joined => self.joined(texts, self.encoders.recipe.projects_pooled),
            PromptWay::Flux1 => self.flux1(texts),
            PromptWay::Sd3 => self.sd3(texts),
            PromptWay::Flux2 => self.flux2(texts.language),
            PromptWay::ZImage => self.z_image(texts.language),
            PromptWay::QwenImage => self.qwen_image(texts),
        }
    }

    /// As [`encode`](Self::encode), with a pooled encoding that is not projected, whatever the family.
    ///
    /// # Errors
    /// [`ModelError::Text`], and those of the networks.
    pub fn encode_unprojected(&self, text: &str) -> Result<Prompt, ModelError> {
        match self.encoders.recipe.way {
            PromptWay::Joined => self.joined(&PromptTexts::all(text), false),
            _ => self.encode(text),
        }
    }

    /// CLIP's chunks, those of several encoders side by side.
    fn joined(&self, texts: &PromptTexts<'_>, projected: bool) -> Result<Prompt, ModelError> {
        let encoders = &self.encoders.encoders;
        let mut chunked = encoders.iter().map(|stage| self.chunks(stage.role, texts)).collect::<Result<Vec<_>, _>>()?;
        let longest = chunked.iter().map(Vec::len).max().unwrap_or(1);
        let mut joined: Option<Prompt> = None;
        for (stage, chunks) in encoders.iter().zip(&mut chunked) {
            if texts.l != texts.g {
                let pad = kind_of(stage.role).pad();
                chunks.resize_with(longest, || chunk::empty(pad));
            }
            let prompt = self.clip(stage, chunks, projected)?;
            joined = Some(match joined {
                Some(first) => join(first, prompt),
                None => prompt,
            });
        }
        joined.ok_or_else(|| missing("it is empty"))
    }

    /// T5's row and CLIP-L's pooled output.
    fn flux1(&self, texts: &PromptTexts<'_>) -> Result<Prompt, ModelError> {
        let stage = self.encoders.encoder(TextEncoderKind::L).ok_or_else(|| missing("FLUX.1 needs CLIP-L"))?;
        let pooled = self.clip(stage, &self.chunks(TextEncoderKind::L, texts)?, false)?.pooled;
        let context = self.t5(texts.t5, false, 256)?.ok_or_else(|| missing("FLUX.1 needs T5"))?;
        Ok(Prompt::new(context, pooled))
    }

    /// CLIP's chunks with zeros behind them, T5's row; any encoder may be missing.
    fn sd3(&self, texts: &PromptTexts<'_>) -> Result<Prompt, ModelError> {
        let chunks = |role, text: &str| {
            let nothing = texts.empty_is_none && text.is_empty();
            if nothing { Ok(Vec::new()) } else { self.chunks(role, texts) }
        };
        let mut l = chunks(TextEncoderKind::L, texts.l)?;
        let mut g = chunks(TextEncoderKind::G, texts.g)?;
        let longest = l.len().max(g.len());
        l.resize_with(longest, || chunk::empty(Encoder::ClipL.pad()));
        g.resize_with(longest, || chunk::empty(Encoder::ClipG.pad()));
        let clip = |role, chunks: &[Chunk], projected| {
            let stage = self.encoders.encoder(role).filter(|_| !chunks.is_empty());
            let Some(stage) = stage else { return Ok(None) };
            let Prompt { context, pooled, .. } = self.clip(stage, chunks, projected)?;
            Ok::<_, ModelError>(pooled.map(|pooled| (context, pooled)))
        };
        let parts = Sd3Parts {
            l: clip(TextEncoderKind::L, &l, false)?,
            g: clip(TextEncoderKind::G, &g, true)?,
            t5: self.t5(texts.t5, texts.empty_is_none, SD3_ROW)?,
        };
        Ok(parts.join(self.device))
    }

    fn flux2(&self, text: &str) -> Result<Prompt, ModelError> {
        let (stage, model) = self.language(TextEncoderKind::Mistral3)?;
        encode_flux2(model, &self.row(stage, &template::fill(template::FLUX2, text))?, self.device)
    }

    fn z_image(&self, text: &str) -> Result<Prompt, ModelError> {
        let (stage, model) = self.language(TextEncoderKind::Qwen3)?;
        encode_z_image(model, &self.row(stage, &template::fill(template::Z_IMAGE, text))?, self.device)
    }

    fn qwen_image(&self, texts: &PromptTexts<'_>) -> Result<Prompt, ModelError> {
        let (stage, model) = self.language(TextEncoderKind::Qwen25)?;
        let TextNetwork::Llm(_, vision) = &stage.model else { return Err(missing("Qwen-Image needs Qwen2.5-VL")) };
        let text = template::qwen(texts.language, texts.template, !texts.images.is_empty());
        let reader = QwenReader { model, vision: vision.as_deref(), device: self.device };
        reader.encode(&self.row(stage, &text)?, texts.images)
    }

    /// Chunks through one of CLIP's encoders.
    fn clip(&self, stage: &Stage, chunks: &[Chunk], projected: bool) -> Result<Prompt, ModelError> {
        let model = stage.model.clip().ok_or_else(|| missing("one that is read in chunks isn't CLIP's"))?;
        let encoder = ClipEncoder { model, hidden: self.hidden(), projected, device: self.device };
        encode(&encoder, chunks, kind_of(stage.role).pad())
    }

    /// T5's states, if there is a T5.
    fn t5(&self, text: &str, empty_is_none: bool, min_length: usize) -> Result<Option<Tensor<3>>, ModelError> {
        let Some(stage) = self.encoders.encoder(TextEncoderKind::T5) else { return Ok(None) };
        let model = stage.model.t5().ok_or_else(|| missing("its T5 isn't one"))?;
        let rules = Encoder::T5Xxl.row_rules().ok_or_else(|| missing("T5 reads rows"))?;
        let min_length = self.t5.min_length.unwrap_or(min_length);
        let rules = RowRules { min_length, min_padding: self.t5.min_padding.unwrap_or(0), ..rules };
        let row = if empty_is_none && text.is_empty() { Vec::new() } else { self.weighted(stage, rules, text)? };
        encode_t5(model, &row, self.clip_skip.unwrap_or(-1), self.device).map(Some)
    }

    fn language(&self, role: TextEncoderKind) -> Result<(&Stage, &LlmModel), ModelError> {
        let stage = self.encoders.encoder(role);
        match stage.map(|stage| (stage, &stage.model)) {
            Some((stage, TextNetwork::Llm(model, _))) => Ok((stage, model.as_ref())),
            _ => Err(missing(&format!("{} needs {}", self.encoders.recipe, role.name()))),
        }
    }

    fn row(&self, stage: &Stage, text: &str) -> Result<Vec<Token>, ModelError> {
        let rules = kind_of(stage.role).row_rules().ok_or_else(|| missing("CLIP reads chunks"))?;
        Ok(self.weighted(stage, rules, text)?.into_iter().map(|token| token.token).collect())
    }

    fn weighted(&self, stage: &Stage, rules: RowRules, text: &str) -> Result<Vec<WeightedToken>, ModelError> {
        let failed = |error: crate::tokenizer::TokenizerError| ModelError::Text(error.into());
        let kind = kind_of(stage.role);
        let words = match &stage.words {
            Some(words) => words.clone(),
            None => self.vocabularies.words(kind).map_err(failed)?,
        };
        let row = RowTokenizer::new(words, kind, rules).tokenize(text, self.embeddings).map_err(failed)?;
        if row.len() > LONG.max(rules.min_length + rules.min_padding) {
            let (tokens, family) = (row.len(), self.encoders.recipe.name);
            tracing::warn!(
                tokens,
                family,
                "a prompt longer than the {LONG} tokens that this family was trained on: it is encoded whole, but what \
                 stands at its end may count little; shorten it if so"
            );
        }
        Ok(row)
    }

    fn hidden(&self) -> Hidden {
        let own = self.encoders.recipe.hidden;
        Hidden { layer: self.clip_skip.unwrap_or(own.layer), norm: own.norm }
    }

    fn chunks(&self, role: TextEncoderKind, texts: &PromptTexts<'_>) -> Result<Vec<Chunk>, ModelError> {
        let text = if role == TextEncoderKind::G { texts.g } else { texts.l };
        let chunks = || Tokenizer::new(self.vocabularies.clip()?, kind_of(role)).tokenize(text, self.embeddings);
        chunks().map_err(|error| ModelError::Text(error.into()))
    }
}

fn missing(detail: &str) -> ModelError {
    ModelError::Unrecognised { what: "a set of text encoders".to_owned(), detail: detail.to_owned() }
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
        TextEncoderKind::T5 => Encoder::T5Xxl,
        TextEncoderKind::Mistral3 => Encoder::Mistral3,
        TextEncoderKind::Qwen3 => Encoder::Qwen3,
        TextEncoderKind::Qwen25 => Encoder::Qwen25,
    }
}
