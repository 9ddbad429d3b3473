//! Prompts to conditioning.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::{Condition, Conditioning as Conditions, Sizes};
use kiln_models::text::{Prompt, PromptEncoder, PromptTexts};
use kiln_models::tokenizer::EmbeddingFolders;
use kiln_models::{ModelError, TextEncoders};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::{Clip, Conditioning, Encoding};
use crate::runtime::environment::CxExt;

/// What `encode` gives with text encoders.
fn prompt(
    cx: &Cx,
    clip: &Clip,
    text: &TextEncoders,
    encode: impl FnOnce(&PromptEncoder<'_>) -> Result<Prompt, ModelError>,
) -> Result<Prompt, NodeError> {
    let environment = cx.environment()?;
    let encoder = PromptEncoder {
        encoders: text,
        vocabularies: environment.vocabularies(),
        embeddings: &EmbeddingFolders::new(environment.folders().model_folders("embeddings")),
        clip_skip: clip.stop_at,
        t5: clip.t5,
        device: environment.device(),
    };
    Ok(encode(&encoder)?)
}

/// Encodes a text for each of two encoders; families with one take the text that belongs to it.
fn encode(cx: &Cx, clip: &Clip, text_l: &str, text_g: &str) -> Result<Conditions, NodeError> {
    encode_texts(cx, clip, &PromptTexts { g: text_g, ..PromptTexts::all(text_l) })
}

/// Encodes a text for each encoder. Where hooks change the encoders over the run, there is a condition for each part of it.
pub(super) fn encode_texts(cx: &Cx, clip: &Clip, texts: &PromptTexts<'_>) -> Result<Conditions, NodeError> {
    let mut entries = Vec::new();
    for Encoding { text, range } in clip.encodings()? {
        let Prompt { context, pooled, attention_mask } =
            prompt(cx, clip, &text, |encoder| encoder.encode_texts(texts))?;
        let hooks = clip.hooks_for_conditions().cloned();
        let condition = Condition::new(context, pooled);
        entries.push(Condition { encoded_for: range, hooks, attention_mask, ..condition });
    }
    Ok(Conditions { entries })
}

/// A text's pooled encoding before its projection, `[1, width]`.
pub(in crate::comfy) fn unprojected(cx: &Cx, clip: &Clip, text: &str) -> Result<Tensor<2>, NodeError> {
    let encoders = clip.encoding()?;
    let pooled = prompt(cx, clip, &encoders, |encoder| encoder.encode_unprojected(text))?.pooled;
    pooled.ok_or_else(|| NodeError::new("these text encoders have no pooled output; link those of a CLIP"))
}

/// Turns a prompt into what a diffusion model understands.
#[derive(Node)]
#[node(display_name = "CLIP Text Encode (Prompt)", category = "conditioning", aliases("prompt", "text"))]
pub struct CLIPTextEncode {
    /// What to draw. (word:1.2) weighs a word, embedding:name takes a textual inversion.
    #[input(multiline, dynamic_prompts)]
    text: String,
    /// The text encoders of the model.
    #[input(uses)]
    clip: Clip,
}

impl Execute for CLIPTextEncode {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(encode(cx, &self.clip, &self.text, &self.text)?))
    }
}

/// Gives ControlNets another prompt to read than the one that the model reads.
#[derive(Node)]
#[node(unnamed, category = "_for_testing/conditioning", module = "comfy_extras.nodes_cond", experimental)]
pub struct CLIPTextEncodeControlnet {
    /// The text encoders of the model.
    #[input(uses)]
    clip: Clip,
    /// The condition, with its ControlNets.
    conditioning: Conditioning,
    /// What they read.
    #[input(multiline, dynamic_prompts)]
    text: String,
}

impl Execute for CLIPTextEncodeControlnet {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let (clip, text) = (&self.clip, &self.text);
        let Prompt { context, .. } = prompt(cx, clip, &*clip.encoding()?, |encoder| encoder.encode_two(text, text))?;
        Ok(Conditioning::new(self.conditioning.0.set_control_context(&context)))
    }
}

/// Stops text encoders before their last layer (clip skip).
#[derive(Node)]
#[node(display_name = "CLIP Set Last Layer", category = "conditioning", aliases("clip skip"))]
pub struct CLIPSetLastLayer {
    /// The text encoders.
    clip: Clip,
    /// The layer to stop at: -1 is the last one, -2 the one before it.
    #[input(default = -1, min = -24, max = -1, step = 1)]
    stop_at_clip_layer: i32,
}

impl Execute for CLIPSetLastLayer {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        Ok(self.clip.stopped_at(self.stop_at_clip_layer))
    }
}

/// Turns two prompts and the sizes of the image into what SDXL understands.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning", module = "comfy_extras.nodes_clip_sdxl")]
pub struct CLIPTextEncodeSDXL {
    /// The text encoders.
    #[input(uses)]
    clip: Clip,
    /// Width of the image that the model is to think of.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    width: u32,
    /// Its height.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    height: u32,
    /// What was cut off at its left.
    #[input(default = 0, min = 0, max = MAX_SIDE)]
    crop_w: u32,
    /// What was cut off above.
    #[input(default = 0, min = 0, max = MAX_SIDE)]
    crop_h: u32,
    /// Width of the image wanted.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    target_width: u32,
    /// Its height.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    target_height: u32,
    /// The prompt for the large text encoder.
    #[input(multiline, dynamic_prompts)]
    text_g: String,
    /// The prompt for the small text encoder.
    #[input(multiline, dynamic_prompts)]
    text_l: String,
}

impl Execute for CLIPTextEncodeSDXL {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let encoded = encode(cx, &self.clip, &self.text_l, &self.text_g)?;
        let number = |n: u32| Some(n as f32);
        Ok(Conditioning::new(encoded.set_sizes(Sizes {
            width: number(self.width),
            height: number(self.height),
            crop_w: number(self.crop_w),
            crop_h: number(self.crop_h),
            target_width: number(self.target_width),
            target_height: number(self.target_height),
            aesthetic_score: None,
        })))
    }
}

/// Turns a prompt, a size and a score of beauty into what the SDXL refiner understands.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning", module = "comfy_extras.nodes_clip_sdxl")]
pub struct CLIPTextEncodeSDXLRefiner {
    /// How beautiful the image is to be: 6 for what is wanted, 2.5 for what is not.
    #[input(default = 6.0, min = 0.0, max = 1000.0, step = 0.01)]
    ascore: f32,
    /// Width of the image.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    width: u32,
    /// Its height.
    #[input(default = 1024, min = 0, max = MAX_SIDE)]
    height: u32,
    /// What to draw.
    #[input(multiline, dynamic_prompts)]
    text: String,
    /// The text encoders.
    #[input(uses)]
    clip: Clip,
}

impl Execute for CLIPTextEncodeSDXLRefiner {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let encoded = encode(cx, &self.clip, &self.text, &self.text)?;
        Ok(Conditioning::new(encoded.set_sizes(Sizes {
            width: Some(self.width as f32),
            height: Some(self.height as f32),
            aesthetic_score: Some(self.ascore),
            ..Sizes::default()
        })))
    }
}
