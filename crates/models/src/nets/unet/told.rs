//! What a UNet is told beside latent, level and prompt, as far as its shape says.

use super::{config::UNetConfig, variant::Variant};
use crate::nets::side_inputs::SideInputs;

/// Widths of the vectors of models that have no other mark: SV3D's with and without camera, Lotus's.
const ORBIT: usize = 256;
const CAMERAS: usize = 256 + 2 * 512;
const TASK: usize = 4;

impl UNetConfig {
    /// What a network of this shape is told beside latent, level and prompt, unless its file says otherwise.
    pub fn side_inputs(&self) -> SideInputs {
        match (&self.variant, self.adm_channels) {
            (Variant::Video { .. }, Some(ORBIT)) => SideInputs::Orbit,
            (Variant::Video { .. }, Some(CAMERAS)) => SideInputs::Cameras,
            (Variant::Video { .. }, _) => SideInputs::Motion,
            (Variant::Upscaler { .. }, _) => SideInputs::LowRes,
            (_, Some(TASK)) => SideInputs::Task,
            _ => SideInputs::Usual,
        }
    }

    /// Width of the vector that the network is called with: one number for a row of a table.
    pub fn vector_width(&self) -> Option<usize> {
        match self.variant {
            Variant::Upscaler { .. } => Some(1),
            _ => self.adm_channels,
        }
    }
}
