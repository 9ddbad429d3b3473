//! Which text encoder tokens are for. Knows their padding and their key in an embedding file, nothing else.

use super::{
    qwen::QWEN_PAD,
    rules::RowRules,
    tekken::{TEKKEN_PAD, TEKKEN_START},
    unigram::T5_END,
    vocabulary::END,
};

/// Which text encoder the tokens are for: they differ in padding and in the key of an embedding file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// OpenAI's CLIP-L (SD1, first encoder of SDXL).
    ClipL,
    /// OpenCLIP ViT-bigG (second encoder of SDXL).
    ClipG,
    /// OpenCLIP ViT-H (SD2).
    ClipH,
    /// T5-XXL (FLUX.1, SD3).
    T5Xxl,
    /// Mistral Small 3 (FLUX.2).
    Mistral3,
    /// Qwen3-4B (Z-Image).
    Qwen3,
    /// Qwen2.5-VL-7B (Qwen-Image).
    Qwen25,
}

impl Encoder {
    /// The id that fills a chunk or a row behind its end.
    pub fn pad(self) -> u32 {
        match self {
            Self::ClipL => END,
            Self::ClipG | Self::ClipH | Self::T5Xxl => 0,
            Self::Mistral3 => TEKKEN_PAD,
            Self::Qwen3 | Self::Qwen25 => QWEN_PAD,
        }
    }

    /// The key of this encoder's vectors in an embedding file made for several.
    pub fn embedding_key(self) -> &'static str {
        match self {
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::ClipH => "clip_h",
            Self::T5Xxl => "t5xxl",
            Self::Mistral3 => "mistral3_24b",
            Self::Qwen3 => "qwen3_4b",
            Self::Qwen25 => "qwen25_7b",
        }
    }

    /// What stands around a row of this encoder; none for CLIP's encoders, which take chunks. T5's rows are filled up to
    /// FLUX.1's length.
    pub fn row_rules(self) -> Option<RowRules> {
        let plain = RowRules {
            start: None,
            end: None,
            pad: self.pad(),
            min_padding: 0,
            min_length: 1,
            weights: false,
            unknown_names: true,
        };
        match self {
            Self::ClipL | Self::ClipG | Self::ClipH => None,
            Self::T5Xxl => {
                Some(RowRules { end: Some(T5_END), min_length: 256, weights: true, unknown_names: false, ..plain })
            }
            Self::Mistral3 => Some(RowRules { start: Some(TEKKEN_START), ..plain }),
            Self::Qwen3 | Self::Qwen25 => Some(plain),
        }
    }
}
