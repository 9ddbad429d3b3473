//! The ways of resizing by ComfyUI's names.

use super::error::ImageError;

/// How an image is resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The nearest pixel by centres.
    NearestExact,
    /// The nearest pixel by corners, as inside of networks.
    Nearest,
    /// Two taps per axis, no antialiasing.
    Bilinear,
    /// The mean over the covered pixels.
    Area,
    /// Four taps per axis (A = -0.75), not clamped.
    Bicubic,
    /// PIL's Lanczos filter on 8-bit values.
    Lanczos,
    /// Bilinear on directions and lengths of the channels' vectors.
    Bislerp,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::NearestExact, Self::Nearest, Self::Bilinear, Self::Area, Self::Bicubic, Self::Lanczos, Self::Bislerp];

    /// ComfyUI's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NearestExact => "nearest-exact",
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Area => "area",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
            Self::Bislerp => "bislerp",
        }
    }
}

impl std::str::FromStr for Method {
    type Err = ImageError;

    fn from_str(name: &str) -> Result<Self, ImageError> {
        Self::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| ImageError::UnknownMethod {
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).to_vec(),
        })
    }
}
