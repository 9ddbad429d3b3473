//! Families of Stable Diffusion, recognised from the UNet's configuration and the text encoders beside it.

use super::text_encoder::TextEncoderKind;
use crate::{
    latent::LatentFormat,
    nets::{
        SideInputs,
        clip::Hidden,
        unet::{UNetConfig, Variant},
    },
};

/// A family of models that share text encoders, conditioning and latent format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Stable Diffusion 1.x and everything of its layout.
    Sd1,
    /// Stable Diffusion 2.x.
    Sd2,
    /// Stable Diffusion 2.1 unCLIP, told by images what to draw beside the prompt.
    Unclip,
    /// Stable Diffusion's x4 upscaler.
    Upscaler,
    /// Lotus: depth or normals of an image in one step, on SD2's network.
    Lotus,
    /// SDXL base, and distilled models of its layout.
    Sdxl,
    /// SDXL refiner.
    SdxlRefiner,
    /// Stable Video Diffusion: a video from an image.
    Svd,
    /// SV3D: an image's object seen from all around.
    Sv3d,
    /// Stable Zero123: an image's object seen from elsewhere.
    Zero123,
}

impl Family {
    /// The family of a UNet; `roles` are the text encoders found beside it, if any.
    pub fn of(config: &UNetConfig, roles: &[TextEncoderKind]) -> Self {
        match (&config.variant, config.side_inputs()) {
            (_, SideInputs::Motion) => return Self::Svd,
            (_, SideInputs::Orbit | SideInputs::Cameras) => return Self::Sv3d,
            (_, SideInputs::LowRes) => return Self::Upscaler,
            (_, SideInputs::Task) => return Self::Lotus,
            (Variant::Posed { .. }, _) => return Self::Zero123,
            _ => {}
        }
        match (config.adm_channels, config.context_dim) {
            (None, _) if config.linear_projection => Self::Sd2,
            (None, _) => Self::Sd1,
            _ if roles == [TextEncoderKind::H] => Self::Unclip,
            _ if roles == [TextEncoderKind::G] => Self::SdxlRefiner,
            _ if !roles.is_empty() => Self::Sdxl,
            // An embedding of CLIP-L or CLIP-H and its noise level, beside CLIP-H's prompts.
            (Some(1536 | 2048), Some(1024)) if roles.is_empty() => Self::Unclip,
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
            Self::Unclip => "SD2 unCLIP",
            Self::Upscaler => "SD x4 upscaler",
            Self::Lotus => "Lotus",
            Self::Svd => "SVD",
            Self::Sv3d => "SV3D",
            Self::Zero123 => "Stable Zero123",
        }
    }

    /// Text encoders of the family, in the order in which their outputs are joined.
    pub fn roles(self) -> &'static [TextEncoderKind] {
        match self {
            Self::Sd1 => &[TextEncoderKind::L],
            Self::Sd2 | Self::Unclip | Self::Upscaler | Self::Lotus => &[TextEncoderKind::H],
            Self::Svd | Self::Sv3d | Self::Zero123 => &[],
            Self::Sdxl => &[TextEncoderKind::L, TextEncoderKind::G],
            Self::SdxlRefiner => &[TextEncoderKind::G],
        }
    }

    /// The hidden state that the family is trained on.
    pub fn hidden(self) -> Hidden {
        match self {
            Self::Sd1 | Self::Svd | Self::Sv3d | Self::Zero123 => Hidden::LAST,
            Self::Sd2 | Self::Unclip | Self::Upscaler | Self::Lotus => Hidden { layer: -2, norm: true },
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
            Self::Sdxl => 6,
            Self::SdxlRefiner => 5,
            _ => 0,
        }
    }

    /// Where its checkpoints keep their autoencoder, the first place that is looked at.
    pub fn vae_prefix(self) -> &'static str {
        match self {
            // What lies under the usual name there decodes no frames.
            Self::Sv3d => "conditioner.embedders.1.encoder.",
            _ => "first_stage_model.",
        }
    }

    /// Where its checkpoints keep an image encoder, if they have one.
    pub fn vision_prefix(self) -> Option<&'static str> {
        match self {
            Self::Svd | Self::Sv3d => Some("conditioner.embedders.0.open_clip.model.visual."),
            Self::Unclip => Some("embedder.model.visual."),
            Self::Zero123 => Some("cond_stage_model.model.visual."),
            _ => None,
        }
    }

    /// The latent format, unless the file is Playground.
    pub fn latent(self) -> LatentFormat {
        match self {
            Self::Sdxl | Self::SdxlRefiner => LatentFormat::SDXL,
            Self::Upscaler => LatentFormat::SD_X4,
            _ => LatentFormat::SD1,
        }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
