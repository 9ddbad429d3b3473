//! Families of Stable Diffusion, recognised from the UNet's configuration and the text encoders beside it.

use super::text_encoder::TextEncoderKind;
use crate::{
    latent::LatentFormat,
    nets::{clip::Hidden, unet::UNetConfig},
};

/// A family of models that share text encoders, conditioning and latent format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Stable Diffusion 1.x and everything of its layout.
    Sd1,
    /// Stable Diffusion 2.x.
    Sd2,
    /// SDXL base, and distilled models of its layout.
    Sdxl,
    /// SDXL refiner.
    SdxlRefiner,
}

impl Family {
    /// The family of a UNet; `roles` are the text encoders found beside it, if any.
    pub fn of(config: &UNetConfig, roles: &[TextEncoderKind]) -> Self {
        match (config.adm_channels, config.context_dim) {
            (None, _) if config.linear_projection => Self::Sd2,
            (None, _) => Self::Sd1,
            _ if roles == [TextEncoderKind::H] => Self::Sd2,
            _ if roles == [TextEncoderKind::G] => Self::SdxlRefiner,
            _ if !roles.is_empty() => Self::Sdxl,
            // Five size embeddings of 256 beside a pooled vector as wide as the context: only the refiner's.
            (Some(adm), Some(context)) if adm == context + 5 * 256 => Self::SdxlRefiner,
            _ => Self::Sdxl,
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd1 => "SD1",
            Self::Sd2 => "SD2",
            Self::Sdxl => "SDXL",
            Self::SdxlRefiner => "SDXL refiner",
        }
    }

    /// Text encoders of the family, in the order in which their outputs are joined.
    pub fn roles(self) -> &'static [TextEncoderKind] {
        match self {
            Self::Sd1 => &[TextEncoderKind::L],
            Self::Sd2 => &[TextEncoderKind::H],
            Self::Sdxl => &[TextEncoderKind::L, TextEncoderKind::G],
            Self::SdxlRefiner => &[TextEncoderKind::G],
        }
    }

    /// The hidden state that the family is trained on.
    pub fn hidden(self) -> Hidden {
        match self {
            Self::Sd1 => Hidden::LAST,
            Self::Sd2 => Hidden { layer: -2, norm: true },
            Self::Sdxl | Self::SdxlRefiner => Hidden { layer: -2, norm: false },
        }
    }

    /// Whether the pooled output is the projected one.
    pub fn projects_pooled(self) -> bool {
        self != Self::Sd1
    }

    /// Numbers that follow the pooled vector in `y`: sizes, crops, score.
    pub fn sizes(self) -> usize {
        match self {
            Self::Sd1 | Self::Sd2 => 0,
            Self::Sdxl => 6,
            Self::SdxlRefiner => 5,
        }
    }

    /// The latent format, unless the file is Playground.
    pub fn latent(self) -> LatentFormat {
        match self {
            Self::Sd1 | Self::Sd2 => LatentFormat::SD1,
            Self::Sdxl | Self::SdxlRefiner => LatentFormat::SDXL,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
