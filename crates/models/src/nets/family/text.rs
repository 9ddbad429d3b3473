//! The text encoders of a family: which ones, in which order, and what of their outputs counts.

use crate::nets::clip::Hidden;

/// Which text encoder of a family one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextEncoderKind {
    /// OpenAI's CLIP-L.
    L,
    /// OpenCLIP-H.
    H,
    /// OpenCLIP bigG.
    G,
    /// T5-XXL.
    T5,
    /// Mistral Small 3.
    Mistral3,
    /// Qwen3-4B.
    Qwen3,
    /// Qwen2.5-VL-7B.
    Qwen25,
}

impl TextEncoderKind {
    /// Its name in messages and in ComfyUI's model keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::L => "clip_l",
            Self::H => "clip_h",
            Self::G => "clip_g",
            Self::T5 => "t5xxl",
            Self::Mistral3 => "mistral3_24b",
            Self::Qwen3 => "qwen3_4b",
            Self::Qwen25 => "qwen25_7b",
        }
    }
}

/// How the outputs of a family's encoders become one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptWay {
    /// Chunks of CLIP's states, those of several encoders side by side.
    Joined,
    /// T5's row, CLIP-L's pooled output.
    Flux1,
    /// CLIP's chunks and T5's row behind each other.
    Sd3,
    /// Three of Mistral's states.
    Flux2,
    /// Qwen3's state before its last block.
    ZImage,
    /// Qwen2.5-VL's last state, of texts and images.
    QwenImage,
}

/// How a family turns a prompt into conditioning.
#[derive(Debug, PartialEq, Eq)]
pub struct TextRecipe {
    /// Whose it is, in messages.
    pub name: &'static str,
    /// The encoders, in the order in which their outputs are joined; none for families that take no prompts.
    pub roles: &'static [TextEncoderKind],
    /// The hidden state of CLIP's encoders that the family is trained on.
    pub hidden: Hidden,
    /// Whether CLIP's pooled output is the projected one.
    pub projects_pooled: bool,
    /// Where checkpoints keep each encoder: what stands before its keys. Places that end in `model.` hold OpenCLIP's names.
    pub places: &'static [(TextEncoderKind, &'static str)],
    /// How the encoders' outputs become one prompt.
    pub way: PromptWay,
}

impl TextRecipe {
    /// Of families that take no prompts.
    pub const NONE: Self = Self {
        name: "no prompt",
        roles: &[],
        hidden: Hidden::LAST,
        projects_pooled: true,
        places: &[],
        way: PromptWay::Joined,
    };
}

impl std::fmt::Display for TextRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
