//! Qwen-Image's way with Qwen2.5-VL: images among the tokens, the template's start cut off.
//!
//! Source: ComfyUI `comfy/text_encoders/qwen_image.py`, `qwen_vl.py`; rows of images in the order of Qwen's own code.

use burn::tensor::{Device, Tensor, TensorData};

use super::encode::Prompt;
use super::rows::hidden;
use crate::error::ModelError;
use crate::image::Planes;
use crate::nets::layers::Token;
use crate::nets::llm::{ImagePlace, LlmModel, Positions, States};
use crate::nets::qwen_vision::{QwenVision, prepared};
use crate::tokenizer::{QWEN_IMAGE, QWEN_START};

/// Qwen2.5-VL as Qwen-Image reads prompts with it.
#[derive(Debug, Clone, Copy)]
pub struct QwenReader<'a> {
    /// The language model.
    pub model: &'a LlmModel,
    /// Its vision tower; files for text alone have none.
    pub vision: Option<&'a QwenVision>,
    /// Where they run.
    pub device: &'a Device,
}

/// Tokens with images put in their places.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Vectors of all tokens and rows of images, `[T, width]`.
    pub rows: Tensor<2>,
    /// Where each stands.
    pub positions: Positions,
    /// Which of them no other may look at.
    pub hidden: Vec<bool>,
}

impl QwenReader<'_> {
    /// Encodes a row of tokens; the i-th mark of an image becomes the i-th of `images`. More marks than images stay tokens,
    /// images without a mark are left out.
    ///
    /// # Shapes
    /// Returns `[1, T, width]`, without what stands before the user's words.
    /// # Errors
    /// Of the networks; `ModelError::Input` when there are images and no tower, or an image can't be prepared.
    pub fn encode(&self, row: &[Token], images: &[Planes]) -> Result<Prompt, ModelError> {
        let row = self.model.fitting(row);
        let Merged { rows, positions, hidden } = self.merge(&row, images)?;
        let states = self.model.forward(rows, &positions, Some(&hidden), States::Normalised)?;
        let context = Tensor::cat(states, 2);
        let all = context.dims()[1];
        let start = start(&row, all).min(all.saturating_sub(1));
        let (context, counts) = (context.narrow(1, start, all - start), &hidden[start..]);
        let counts: Vec<f32> = counts.iter().map(|hidden| if *hidden { 0.0 } else { 1.0 }).collect();
        let masks = counts.contains(&0.0);
        let mask = || Tensor::from_data(TensorData::new(counts.clone(), [1, all - start]), self.device);
        Ok(Prompt { context, pooled: None, attention_mask: masks.then(mask) })
    }

    /// Puts images into a row, in the place of their marks.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn merge(&self, row: &[Token], images: &[Planes]) -> Result<Merged, ModelError> {
        let masked = hidden(self.model, row);
        let marks = row.iter().enumerate().filter(|(_, token)| **token == Token::Id(QWEN_IMAGE)).map(|(at, _)| at);
        let (mut parts, mut places, mut hidden) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = 0;
        for (mark, image) in marks.zip(images) {
            if next < mark {
                parts.push(self.model.embed(&row[next..mark], self.device)?);
                hidden.extend_from_slice(&masked[next..mark]);
            }
            let (rows, place) = self.look(image, hidden.len())?;
            hidden.resize(hidden.len() + place.rows * place.columns, false);
            parts.push(rows);
            places.push(place);
            next = mark + 1;
        }
        if next < row.len() || parts.is_empty() {
            parts.push(self.model.embed(&row[next..], self.device)?);
            hidden.extend_from_slice(&masked[next..]);
        }
        let positions = Positions::new(hidden.len(), &places);
        Ok(Merged { rows: Tensor::cat(parts, 0), positions, hidden })
    }

    /// The rows of an image and where they stand.
    fn look(&self, image: &Planes, start: usize) -> Result<(Tensor<2>, ImagePlace), ModelError> {
        let Some(vision) = self.vision else {
            return Err(ModelError::Input {
                network: "Qwen2.5-VL",
                what: "images",
                expected: "none: this file has no vision tower (`visual.*`). Load one that has, such as \
                           qwen_2.5_vl_7b.safetensors"
                    .to_owned(),
                found: image.shape().to_vec(),
            });
        };
        let patches = prepared(image, self.device).map_err(|error| ModelError::Input {
            network: "Qwen2.5-VL",
            what: "image",
            expected: format!("one with red, green and blue ({error})"),
            found: image.shape().to_vec(),
        })?;
        let rows = vision.forward(&patches)?;
        Ok((rows, ImagePlace { start, rows: patches.grid.rows, columns: patches.grid.columns }))
    }
}

/// How many rows before the user's words are cut off: up to the second message, or the first if it is the only one, and its
/// `user` and line break. Counted in tokens, an image as one. A text without messages keeps its last row alone.
fn start(row: &[Token], all: usize) -> usize {
    const USER: [Token; 2] = [Token::Id(872), Token::Id(198)];
    let starts = row.iter().enumerate().filter(|(_, token)| **token == Token::Id(QWEN_START));
    let Some((at, _)) = starts.take(2).last() else {
        return if all > 2 && row.starts_with(&USER) { 2 } else { all.saturating_sub(1) };
    };
    if all > at + 3 && row.get(at + 1..at + 3) == Some(&USER) { at + 3 } else { at }
}
