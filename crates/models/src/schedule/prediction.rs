//! What a network's output means.

/// The kind of a network's prediction; [`apply`](crate::sampling) turns it into a denoised latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prediction {
    /// The noise (SD1, SDXL).
    Eps,
    /// The velocity (SD2 at 768, v-prediction fine-tunes).
    V,
    /// Velocity with the sign of EDM (Playground 2.5).
    Edm,
    /// The denoised latent itself.
    X0,
    /// The denoised latent, from an input that isn't scaled.
    ImgToImg,
    /// The straight direction from data to noise (flow matching; ComfyUI's CONST).
    Flow,
    /// The noise, with the boundary condition of latent consistency models.
    Lcm,
}

impl Prediction {
    /// By the names of the ModelSamplingDiscrete node: `eps`, `v_prediction`, `lcm`, `x0`, `img_to_img`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "eps" => Some(Self::Eps),
            "v_prediction" => Some(Self::V),
            "lcm" => Some(Self::Lcm),
            "x0" => Some(Self::X0),
            "img_to_img" => Some(Self::ImgToImg),
            _ => None,
        }
    }

    /// Whether noise and data mix along a straight line (sigma 1 is pure noise).
    pub fn is_flow(self) -> bool {
        self == Self::Flow
    }
}
