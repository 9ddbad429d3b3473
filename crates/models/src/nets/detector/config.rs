//! The shape of a YOLO-World detector as plain data, read off tensor names and shapes.

use kiln_memory::TensorShapes;

use crate::error::ModelError;

/// Which of the two architectures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Updates its texts by the image; compares directions.
    V1,
    /// Leaves its texts alone; compares normalised channels.
    V2,
}

/// The sizes of a detector. Layers are numbered as in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetectorConfig {
    /// The architecture.
    pub version: Version,
    /// Channels at a half, a quarter, ... a thirty-second of the image's sides.
    pub channels: [usize; 5],
    /// Bottlenecks in layers 2, 4, 6 and 8.
    pub repeats: [usize; 4],
    /// Bottlenecks in the four layers that look at the texts.
    pub text_repeats: [usize; 4],
    /// Attention heads of these.
    pub heads: [usize; 4],
    /// Channels of a text's feature.
    pub text: usize,
    /// Channels of the tokens by which version 1 updates its texts.
    pub tokens: usize,
    /// Channels inside of the head's branches: boxes, embeddings.
    pub hidden: [usize; 2],
    /// Whether the file was saved with batch norms folded into its convolutions.
    pub fused: bool,
}

impl DetectorConfig {
    /// Reads the configuration off names and shapes, `None` when they are no detector's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` for a detector of another kind, with its name, and for sizes that contradict each other.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        if is_grounding_dino(names) {
            return Err(unrecognised(
                "it is Grounding DINO, which this version of Kiln does not run; use a YOLO-World file",
            ));
        }
        let version = if names.has("model.16.query.1.weight") && names.any("model.23.cv4.0.") {
            Version::V1
        } else if names.any("model.22.cv4.0.") && names.has("model.12.attn.gl.weight") {
            Version::V2
        } else if names.has("model.22.cv3.0.2.weight") || names.has("model.23.cv3.0.2.weight") {
            return Err(unrecognised("it is a plain YOLO: it knows a fixed list of classes and no texts"));
        } else {
            return Ok(None);
        };
        Self::of(version, names).map(Some)
    }

    fn of(version: Version, names: &TensorShapes) -> Result<Self, ModelError> {
        let rows = |name: &str| {
            names.side(name, 0).ok_or_else(|| unrecognised(&format!("`{name}` is missing or has no sides")))
        };
        let mut channels = [0; 5];
        for (layer, channels) in [0, 1, 3, 5, 7].into_iter().zip(&mut channels) {
            *channels = rows(&format!("model.{layer}.conv.weight"))?;
        }
        let texts = text_layers(version);
        if let Some(layer) = texts.iter().find(|layer| names.has(&format!("model.{layer}.attn.ec.conv.weight"))) {
            return Err(unrecognised(&format!("`model.{layer}.attn.ec` is a convolution that no published size has")));
        }
        let mut heads = [0; 4];
        for (layer, heads) in texts.into_iter().zip(&mut heads) {
            *heads = rows(&format!("model.{layer}.attn.bias"))?;
        }
        let head = head_layer(version);
        let found = Self {
            version,
            channels,
            repeats: [2, 4, 6, 8].map(|layer| names.count(&format!("model.{layer}.m."))),
            text_repeats: texts.map(|layer| names.count(&format!("model.{layer}.m."))),
            heads,
            text: names.side("model.12.attn.gl.weight", 1).unwrap_or(0),
            tokens: names.side("model.16.query.1.weight", 0).unwrap_or(0),
            hidden: [
                rows(&format!("model.{head}.cv2.0.0.conv.weight"))?,
                rows(&format!("model.{head}.cv3.0.0.conv.weight"))?,
            ],
            fused: names.has("model.0.conv.bias") && !names.has("model.0.bn.weight"),
        };
        found.checked()
    }

    /// These sizes, if a network can be made of them.
    fn checked(self) -> Result<Self, ModelError> {
        let Self { channels: [_, _, third, fourth, fifth], heads, .. } = self;
        let widths = [fourth / 2, third / 2, fourth / 2, fifth / 2];
        if let Some((width, heads)) = widths.iter().zip(heads).find(|(width, heads)| *heads == 0 || *width % heads != 0)
        {
            return Err(unrecognised(&format!("{width} channels don't split into {heads} heads")));
        }
        if self.channels.iter().any(|n| *n == 0 || !n.is_multiple_of(2)) || self.text == 0 {
            return Err(unrecognised(&format!("its channels are {:?}, its texts {} wide", self.channels, self.text)));
        }
        if self.version == Version::V1 && (self.tokens == 0 || !self.tokens.is_multiple_of(super::text_update::HEADS)) {
            return Err(unrecognised(&format!("its tokens are {} wide", self.tokens)));
        }
        Ok(self)
    }

    /// The name of its size: `n`, `s`, `m`, `l`, `x`, where it is one of these.
    pub fn size(&self) -> Option<&'static str> {
        let sizes = [(16, "n"), (32, "s"), (48, "m"), (64, "l"), (80, "x")];
        sizes.into_iter().find(|(width, _)| *width == self.channels[0]).map(|(_, name)| name)
    }
}

/// The layers that look at the texts.
pub(super) fn text_layers(version: Version) -> [usize; 4] {
    match version {
        Version::V1 => [12, 15, 19, 22],
        Version::V2 => [12, 15, 18, 21],
    }
}

/// The layer that makes boxes.
pub(super) fn head_layer(version: Version) -> usize {
    match version {
        Version::V1 => 23,
        Version::V2 => 22,
    }
}

/// In its own names, and in those of transformers.
fn is_grounding_dino(names: &TensorShapes) -> bool {
    let probes = ["transformer.encoder.fusion_layers.0.", "model.encoder.layers.0.fusion_layer."];
    names.iter().any(|(name, _)| probes.iter().any(|probe| name.trim_start_matches("module.").starts_with(probe)))
}

fn unrecognised(detail: &str) -> ModelError {
    ModelError::Unrecognised { what: "a YOLO-World detector".into(), detail: detail.into() }
}
