//! The shape of a T2I-Adapter as plain data, and how it is read off tensor names and shapes.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The sizes of a T2I-Adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterConfig {
    /// Channels of the image.
    pub image: usize,
    /// Side of the square of pixels that becomes one place: 8, or 16 for SDXL.
    pub shuffle: usize,
    /// Channels of each level.
    pub channels: Vec<usize>,
    /// What the levels are made of.
    pub kind: AdapterKind,
}

/// What the levels of a T2I-Adapter are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterKind {
    /// Residual blocks of full width.
    Full {
        /// Blocks per level.
        blocks: usize,
        /// Side of the second convolution's kernel.
        kernel: usize,
        /// Whether maps are halved by a convolution rather than by means.
        halves_by_conv: bool,
    },
    /// Narrow residual blocks between two projections.
    Light {
        /// Blocks per level.
        blocks: usize,
    },
}

/// Channels that an image of one or three channels has when squares of its pixels become places.
const SHUFFLES: [(usize, usize); 2] = [(8, 64), (16, 256)];

impl AdapterConfig {
    /// Reads the configuration off names and shapes in original names; `None` when they are no T2I-Adapter's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        if names.has("body.0.out_conv.weight") {
            return Self::light(names).map(Some);
        }
        let full = names.has("conv_in.weight") && names.has("body.0.block1.weight");
        full.then(|| Self::full(names)).transpose()
    }

    fn full(names: &TensorShapes) -> Result<Self, ModelError> {
        const BLOCKS: usize = 2;
        let (image, shuffle) = shuffled(names, "conv_in.weight", false)?;
        let width = |level: usize| names.side(&format!("body.{}.block1.weight", level * BLOCKS), 0);
        let ends = |end: &str| names.iter().any(|(name, _)| name.ends_with(end));
        if ends("skep.weight") {
            let detail = "it has convolutions beside its blocks (`skep`), which no released adapter has".into();
            return Err(ModelError::Unrecognised { what: "a T2I-Adapter".into(), detail });
        }
        let kind = AdapterKind::Full {
            blocks: BLOCKS,
            kernel: names.side("body.0.block2.weight", 2).unwrap_or(1),
            halves_by_conv: ends("down_opt.op.weight"),
        };
        Ok(Self { image, shuffle, channels: (0..names.len()).map_while(width).collect(), kind })
    }

    fn light(names: &TensorShapes) -> Result<Self, ModelError> {
        let (image, shuffle) = shuffled(names, "body.0.in_conv.weight", true)?;
        let width = |level: usize| names.side(&format!("body.{level}.out_conv.weight"), 0);
        let channels = (0..names.len()).map_while(width).collect();
        let kind = AdapterKind::Light { blocks: names.count("body.0.body.") };
        Ok(Self { image, shuffle, channels, kind })
    }

    /// Whether it is SDXL's: its first level is half as large as the latent.
    pub fn is_xl(&self) -> bool {
        self.shuffle == 16
    }

    /// The place of each level's result: after which input block, or after the middle (`None`).
    pub(super) fn places(&self) -> Vec<Option<usize>> {
        let levels = self.channels.len();
        if !self.is_xl() {
            return (0..levels).map(|level| Some(level * 3 + 2)).collect();
        }
        let mut at = 0;
        let place = |level: usize| {
            at += match level {
                0 => 4,
                2 => 3,
                _ => 2,
            };
            (level + 1 < levels).then_some(at - 1)
        };
        (0..levels).map(place).collect()
    }

    /// Whether a level begins by halving the map.
    pub(super) fn halves(&self, level: usize) -> bool {
        if self.is_xl() { level == 2 } else { level > 0 }
    }
}

/// Channels of the image, and the side of the squares, from a first layer's inputs. The light kind is SD1's only.
fn shuffled(names: &TensorShapes, first: &str, light: bool) -> Result<(usize, usize), ModelError> {
    let inputs = names.side(first, 1).unwrap_or(0);
    let shuffles = SHUFFLES.iter().take(if light { 1 } else { 2 });
    let found = shuffles.flat_map(|(side, area)| [1, 3].map(|c| (c, *side, area * c)));
    found.filter(|(.., channels)| *channels == inputs).map(|(c, side, _)| (c, side)).next().ok_or_else(|| {
        ModelError::Unrecognised {
            what: "a T2I-Adapter".into(),
            detail: format!("`{first}` takes {inputs} channels, expected 64 or 192 (SD1), 256 or 768 (SDXL)"),
        }
    })
}
