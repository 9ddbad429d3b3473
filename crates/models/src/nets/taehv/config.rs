//! The sizes of a tiny autoencoder of clips, read off its file's names and shapes.

use kiln_memory::TensorShapes;

/// Numbers of the layers that join frames, in the encoder.
pub(super) const POOLS: [usize; 3] = [2, 7, 12];
/// Numbers of the layers that make more frames, in the decoder.
pub(super) const GROWS: [usize; 3] = [7, 13, 19];

/// The sizes of a tiny autoencoder of clips.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaehvConfig {
    /// Channels of latents.
    pub latent: usize,
    /// Pixels along a side of the blocks that become channels first: 1 for none.
    pub patch: usize,
    /// Whether negative values count a fifth where others are cut off.
    pub leaky: bool,
    /// Images to latents.
    pub encoder: TaehvHalf,
    /// Latents to images.
    pub decoder: TaehvHalf,
}

/// One direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaehvHalf {
    /// Channels of each level, from the first to run to the last; the encoder has the same on all.
    pub channels: [usize; 4],
    /// How many frames each level joins, or makes of one.
    pub frames: [usize; 3],
}

impl TaehvHalf {
    /// How many frames of the clip are one of the latent's.
    pub fn stride(&self) -> usize {
        self.frames.iter().product()
    }
}

impl TaehvConfig {
    /// Reads the configuration off names and shapes, `None` when they are no such network's.
    pub fn from_names(names: &TensorShapes) -> Option<Self> {
        let outputs = |key: String| names.shape(&key).and_then(|shape| shape.first().copied());
        let [first, latent, 3, 3] = *names.shape("decoder.1.weight")? else { return None };
        let image = outputs("decoder.22.weight".into())?;
        let patch = (1..=8).find(|patch| 3 * patch * patch == image)?;
        let level = |n: usize| outputs(format!("decoder.{n}.weight"));
        let channels = [first, level(8)?, level(14)?, level(20)?];
        let grows =
            |i: usize| Some(outputs(format!("decoder.{}.conv.weight", GROWS[i]))?.checked_div(channels[i])?.max(1));
        let pools = |i: usize| {
            let [outputs, inputs, 1, 1] = *names.shape(&format!("encoder.{}.conv.weight", POOLS[i]))? else {
                return None;
            };
            Some(inputs.checked_div(outputs)?.max(1))
        };
        let inside = outputs("encoder.0.weight".into())?;
        Some(Self {
            latent,
            patch,
            // As ComfyUI has it: HunyuanVideo 1.5's.
            leaky: latent == 32,
            encoder: TaehvHalf { channels: [inside; 4], frames: [pools(0)?, pools(1)?, pools(2)?] },
            decoder: TaehvHalf { channels, frames: [grows(0)?, grows(1)?, grows(2)?] },
        })
    }
}
