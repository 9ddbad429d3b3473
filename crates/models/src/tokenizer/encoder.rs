//! Which of CLIP's text encoders tokens are for. Knows their padding and their key in an embedding file, nothing else.

use super::vocabulary::END;

/// Which text encoder the tokens are for: they differ in padding and in the key of an embedding file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// OpenAI's CLIP-L (SD1, first encoder of SDXL).
    ClipL,
    /// OpenCLIP ViT-bigG (second encoder of SDXL).
    ClipG,
    /// OpenCLIP ViT-H (SD2).
    ClipH,
}

impl Encoder {
    /// The id that fills a chunk behind its end.
    pub fn pad(self) -> u32 {
        match self {
            Self::ClipL => END,
            Self::ClipG | Self::ClipH => 0,
        }
    }

    /// The key of this encoder's vectors in an embedding file made for several.
    pub fn embedding_key(self) -> &'static str {
        match self {
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::ClipH => "clip_h",
        }
    }
}
