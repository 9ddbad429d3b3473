//! The shape of a video autoencoder as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original names only; diffusers' are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// An entry of `encoder.downsamples` or `decoder.upsamples`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A residual block from so many channels to so many.
    Residual([usize; 2]),
    /// A change of size.
    Resize {
        /// Channels before and after.
        channels: [usize; 2],
        /// Whether it changes the number of frames, too.
        time: bool,
    },
}

/// One direction of the autoencoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfConfig {
    /// Channels that come in, and what the first convolution makes of them.
    pub input: [usize; 2],
    /// The entries in their order.
    pub entries: Vec<Entry>,
    /// Channels of the middle.
    pub middle: usize,
    /// Channels before and after the last convolution.
    pub output: [usize; 2],
}

/// The sizes of Wan 2.1's autoencoder, which Qwen-Image has with other weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoVaeConfig {
    /// Channels of latents.
    pub channels: usize,
    /// The encoder, if it is there.
    pub encoder: Option<HalfConfig>,
    /// The decoder.
    pub decoder: HalfConfig,
}

impl VideoVaeConfig {
    /// Reads the configuration off names and shapes in original names, without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd; other autoencoders of videos by their kind.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.any("decoder.upsamples.0.upsamples.") {
            return Err(odd("it is Wan 2.2's (48 channels, `decoder.upsamples.0.upsamples.`), which is not supported"));
        }
        let encoder = names.any("encoder.").then(|| HalfConfig::from_names(names, "encoder", "downsamples"));
        Ok(Self {
            channels: side(names, "decoder.conv1.weight", 1)?,
            encoder: encoder.transpose()?,
            decoder: HalfConfig::from_names(names, "decoder", "upsamples")?,
        })
    }

    /// Pixels per latent cell, on each side.
    pub fn scale(&self) -> usize {
        1 << self.decoder.resizes(|_| true)
    }

    /// Frames that a latent's frame stands for, except the first, which is one image.
    pub fn frames(&self) -> usize {
        1 << self.decoder.resizes(|time| time)
    }

    /// About how many bytes decoding or encoding images of `[height, width]` pixels holds beside the weights: six maps of
    /// the widest channels at full size, of as many frames as a chunk has.
    pub fn activations(&self, [height, width]: [usize; 2]) -> u64 {
        6 * 4 * (self.decoder.output[0] * height * width) as u64
    }
}

impl HalfConfig {
    fn from_names(names: &TensorShapes, half: &str, entries: &str) -> Result<Self, ModelError> {
        let conv = |end: &str| {
            let name = format!("{half}.{end}.weight");
            Ok::<_, ModelError>([side(names, &name, 1)?, side(names, &name, 0)?])
        };
        let list = format!("{half}.{entries}.");
        let entries = (0..names.count(&list)).map(|i| Entry::from_names(names, &format!("{list}{i}")));
        Ok(Self {
            input: conv("conv1")?,
            entries: entries.collect::<Result<_, _>>()?,
            middle: conv("middle.0.residual.2")?[0],
            output: conv("head.2")?,
        })
    }

    fn resizes(&self, counts: impl Fn(bool) -> bool) -> u32 {
        let counts = |entry: &&Entry| matches!(entry, Entry::Resize { time, .. } if counts(*time));
        // More than 16 would be no autoencoder's, and a shift too far.
        self.entries.iter().filter(counts).count().min(16) as u32
    }
}

impl Entry {
    fn from_names(names: &TensorShapes, path: &str) -> Result<Self, ModelError> {
        let channels = |end: &str| {
            let name = format!("{path}.{end}.weight");
            Ok::<_, ModelError>([side(names, &name, 1)?, side(names, &name, 0)?])
        };
        if names.has(&format!("{path}.resample.1.weight")) {
            let time = names.has(&format!("{path}.time_conv.weight"));
            return Ok(Self::Resize { channels: channels("resample.1")?, time });
        }
        Ok(Self::Residual(channels("residual.2")?))
    }
}

fn side(names: &TensorShapes, name: &str, axis: usize) -> Result<usize, ModelError> {
    match names.side(name, axis) {
        Some(0) => Err(odd(&format!("`{name}` is {:?}, with an empty side", names.shape(name).unwrap_or_default()))),
        Some(side) => Ok(side),
        None => Err(odd(&format!("`{name}` is missing, or has no side {axis}"))),
    }
}

fn odd(detail: &str) -> ModelError {
    ModelError::Unrecognised { what: "an autoencoder of videos".into(), detail: detail.into() }
}
