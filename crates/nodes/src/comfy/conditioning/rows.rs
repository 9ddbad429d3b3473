//! Prompts for families that T5 or a language model reads: SD3's three texts, Lumina's system prompt, lengths of rows.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::text::{PromptTexts, T5Length};

use super::encode::encode_texts;
use crate::payload::{Clip, Conditioning};

/// Turns a prompt for each of SD3's text encoders into what it understands.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning", module = "comfy_extras.nodes_sd3")]
pub struct CLIPTextEncodeSD3 {
    /// The text encoders.
    #[input(uses)]
    clip: Clip,
    /// The prompt for CLIP-L.
    #[input(multiline, dynamic_prompts)]
    clip_l: String,
    /// The prompt for CLIP-G.
    #[input(multiline, dynamic_prompts)]
    clip_g: String,
    /// The prompt for T5.
    #[input(multiline, dynamic_prompts)]
    t5xxl: String,
    /// What an empty prompt is: none at all, or one without words.
    #[input(options = ["none", "empty_prompt"], option("multiselect" = false))]
    empty_padding: String,
}

impl Execute for CLIPTextEncodeSD3 {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let texts = PromptTexts {
            g: &self.clip_g,
            t5: &self.t5xxl,
            empty_is_none: self.empty_padding == "none",
            ..PromptTexts::all(&self.clip_l)
        };
        Ok(Conditioning::new(encode_texts(cx, &self.clip, &texts)?))
    }
}

/// Turns a system prompt and a user's prompt into what Lumina 2 understands.
#[derive(Node)]
#[node(display_name = "CLIP Text Encode for Lumina2", category = "conditioning", module = "comfy_extras.nodes_lumina2")]
pub struct CLIPTextEncodeLumina2 {
    /// What the model is told to aim at: images better than others, or images close to the text.
    #[input(options = ["superior", "alignment"], option("multiselect" = false))]
    system_prompt: String,
    /// What to draw.
    #[input(multiline, dynamic_prompts)]
    user_prompt: String,
    /// The text encoder.
    #[input(uses)]
    clip: Clip,
}

/// Lumina 2's published system prompts.
const SUPERIOR: &str = "You are an assistant designed to generate superior images with the superior degree of image-text \
                        alignment based on textual prompts or user prompts.";
const ALIGNMENT: &str = "You are an assistant designed to generate high-quality images with the highest degree of \
                         image-text alignment based on textual prompts.";

impl Execute for CLIPTextEncodeLumina2 {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let system = if self.system_prompt == "alignment" { ALIGNMENT } else { SUPERIOR };
        let text = format!("{system} <Prompt Start> {}", self.user_prompt);
        Ok(Conditioning::new(encode_texts(cx, &self.clip, &PromptTexts::all(&text))?))
    }
}

/// Says how long the rows of tokens are that T5 reads, instead of the family's own way.
#[derive(Node)]
#[node(unnamed, category = "_for_testing/conditioning", module = "comfy_extras.nodes_cond", experimental)]
pub struct T5TokenizerOptions {
    /// The text encoders.
    clip: Clip,
    /// Padding put behind every prompt.
    #[input(default = 0, min = 0, max = 10000, step = 1)]
    min_padding: usize,
    /// Shorter prompts are filled up to so many tokens; 0 for not at all.
    #[input(default = 0, min = 0, max = 10000, step = 1)]
    min_length: usize,
}

impl Execute for T5TokenizerOptions {
    type Output = Clip;

    fn execute(self, _: &mut Cx) -> Result<Clip, NodeError> {
        let t5 = T5Length { min_padding: Some(self.min_padding), min_length: Some(self.min_length) };
        Ok(self.clip.with_t5(t5))
    }
}
