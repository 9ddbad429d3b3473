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
}

impl TextEncoderKind {
    /// Its name in messages and in ComfyUI's model keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::L => "clip_l",
            Self::H => "clip_h",
            Self::G => "clip_g",
        }
    }
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
}

impl TextRecipe {
    /// Of families that take no prompts.
    pub const NONE: Self =
        Self { name: "no prompt", roles: &[], hidden: Hidden::LAST, projects_pooled: true, places: &[] };
}

impl std::fmt::Display for TextRecipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
