//! The shapes of upscalers as plain data, read off tensor names and shapes.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// One of the families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpscaleConfig {
    /// ESRGAN, Real-ESRGAN: residual in residual dense blocks.
    Rrdb(RrdbConfig),
    /// Real-ESRGAN's compact network.
    Compact(CompactConfig),
}

/// Sizes of an RRDB network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrdbConfig {
    /// Channels of images.
    pub image_channels: usize,
    /// The image is folded by this factor first (2 in Real-ESRGAN's x2 model).
    pub unshuffle: usize,
    /// Channels between blocks.
    pub channels: usize,
    /// Channels that each convolution of a dense block adds.
    pub growth: usize,
    /// Blocks.
    pub blocks: usize,
    /// Doublings.
    pub doublings: usize,
}

/// Sizes of a compact network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactConfig {
    /// Channels of images.
    pub image_channels: usize,
    /// Channels between convolutions.
    pub channels: usize,
    /// Index of the last convolution in `body`; even.
    pub last: usize,
    /// Enlargement.
    pub scale: usize,
    /// Slopes per activation: one for each channel, or one for all.
    pub slopes: usize,
}

impl UpscaleConfig {
    /// Reads the configuration off names and shapes, `None` when they are no upscaler's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when they are one of a kind that isn't known.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        if names.has("conv_first.weight") && names.any("body.0.rdb1.") {
            return rrdb(names).map(|config| Some(Self::Rrdb(config)));
        }
        if names.shape("body.0.weight").is_some_and(|shape| shape.len() == 4) && names.has("body.1.weight") {
            return compact(names).map(|config| Some(Self::Compact(config)));
        }
        Ok(None)
    }

    /// Enlargement on each side.
    pub fn scale(&self) -> usize {
        match self {
            Self::Rrdb(config) => (1 << config.doublings) / config.unshuffle.max(1),
            Self::Compact(config) => config.scale,
        }
    }

    /// Channels of images.
    pub fn image_channels(&self) -> usize {
        match self {
            Self::Rrdb(config) => config.image_channels,
            Self::Compact(config) => config.image_channels,
        }
    }
}

fn rrdb(names: &TensorShapes) -> Result<RrdbConfig, ModelError> {
    if names.iter().any(|(name, _)| name.contains("conv1x1")) {
        return Err(unrecognised("its dense blocks have 1x1 shortcuts (ESRGAN+), which are not supported"));
    }
    let first = shape4(names, "conv_first.weight")?;
    let image_channels = shape4(names, "conv_last.weight")?[0];
    let folds = (first[1] / image_channels.max(1)).isqrt();
    let doublings = (1..8).take_while(|n| names.has(&format!("conv_up{n}.weight"))).count();
    if folds == 0 || folds * folds * image_channels != first[1] || !(1usize << doublings).is_multiple_of(folds) {
        return Err(unrecognised("the channels of `conv_first.weight` fit no folding of an image"));
    }
    Ok(RrdbConfig {
        image_channels,
        unshuffle: folds,
        channels: first[0],
        growth: shape4(names, "body.0.rdb1.conv1.weight")?[0],
        blocks: names.count("body."),
        doublings,
    })
}

fn compact(names: &TensorShapes) -> Result<CompactConfig, ModelError> {
    let [channels, image_channels, ..] = shape4(names, "body.0.weight")?;
    let last = names.count("body.").saturating_sub(1);
    let outputs = shape4(names, &format!("body.{last}.weight"))?[0];
    let scale = (outputs / image_channels.max(1)).isqrt();
    if scale == 0 || scale * scale * image_channels != outputs || !last.is_multiple_of(2) {
        return Err(unrecognised("the channels of its last convolution fit no shuffling into an image"));
    }
    let slopes = names.side("body.1.weight", 0).unwrap_or(channels);
    Ok(CompactConfig { image_channels, channels, last, scale, slopes })
}

fn shape4(names: &TensorShapes, name: &str) -> Result<[usize; 4], ModelError> {
    let shape = names.shape(name).ok_or_else(|| unrecognised(&format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| unrecognised(&format!("`{name}` is {shape:?}, expected four sides")))
}

fn unrecognised(detail: &str) -> ModelError {
    ModelError::Unrecognised { what: "an upscaler".into(), detail: detail.into() }
}
