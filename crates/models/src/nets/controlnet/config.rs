//! The shape of a ControlNet: the way down of a UNet, and the convolutions its image goes through first.

use super::union::UnionConfig;
use crate::{error::ModelError, nets::unet::UNetConfig};
use kiln_memory::TensorShapes;

/// The sizes of a ControlNet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlNetConfig {
    /// The UNet it belongs to. Its way up is not used.
    pub unet: UNetConfig,
    /// Channels of the image.
    pub hint_channels: usize,
    /// Outputs of the convolutions that the image goes through; the last one has the UNet's channels.
    pub hint: Vec<usize>,
    /// What it has beside that if it is told what kind of image it is given.
    pub union: Option<UnionConfig>,
}

impl ControlNetConfig {
    /// Reads the configuration off names and shapes in original names, without prefix; `None` when they are no
    /// ControlNet's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        let Some((hint_channels, hint)) = Self::hint_of(names) else { return Ok(None) };
        let (unet, union) = (UNetConfig::from_names(names)?, UnionConfig::from_names(names));
        Ok(Some(Self { unet, hint_channels, hint, union }))
    }

    /// Channels of the image, and outputs of the convolutions it goes through.
    pub(crate) fn hint_of(names: &TensorShapes) -> Option<(usize, Vec<usize>)> {
        let output = |n: usize| names.side(&format!("input_hint_block.{}.weight", n * 2), 0);
        Some((names.side("input_hint_block.0.weight", 1)?, (0..names.len()).map_while(output).collect()))
    }
}
