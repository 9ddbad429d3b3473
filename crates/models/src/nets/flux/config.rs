//! The shape of a Flux network as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original names only; diffusers' are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// Which of the two networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FluxVersion {
    /// A modulation per block, biases, squares of 2x2 cells, a pooled vector beside the text.
    One,
    /// One modulation for all blocks of a kind, no biases, single cells, gated MLPs.
    Two,
}

/// The sizes of a Flux network, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FluxConfig {
    /// Flux.1 or Flux.2.
    pub version: FluxVersion,
    /// Channels per token.
    pub hidden: usize,
    /// Channels of the latent that goes in: 16 (Flux.1), 32 (Canny, Depth), 96 (Fill), 128 (Flux.2).
    pub in_channels: usize,
    /// Channels of the latent that comes out.
    pub out_channels: usize,
    /// Width of the encoded prompt.
    pub context: usize,
    /// Width of the pooled vector beside it; none in Flux.2.
    pub vector: Option<usize>,
    /// Blocks with a stream for the image and one for the text.
    pub double: usize,
    /// Blocks over both in one row.
    pub single: usize,
    /// Whether it is told a strength of guidance (not schnell).
    pub guidance: bool,
    /// Width inside the MLPs: 4 times `hidden` (Flux.1) or 3 times (Flux.2).
    pub mlp: usize,
    /// Width of a head.
    pub head: usize,
    /// How much of a head each axis of a position turns; not in a file.
    pub axes: Vec<usize>,
    /// Base of the positions' angles; not in a file.
    pub theta: f64,
}

impl FluxConfig {
    /// Whether names without prefix are those of a Flux network.
    pub fn fits(names: &TensorShapes) -> bool {
        names.has("img_in.weight") && names.any("double_blocks.0.img_attn.norm.key_norm.")
    }

    /// Reads the configuration off names and shapes in original names, without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd, and for Chroma, which is not covered.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.any("distilled_guidance_layer.") {
            return Err(odd("it is Chroma (`distilled_guidance_layer`), whose modulation Kiln does not run".into()));
        }
        let two = names.has("double_stream_modulation_img.lin.weight");
        let version = if two { FluxVersion::Two } else { FluxVersion::One };
        let cells = version.patch() * version.patch();
        let [hidden, features] = matrix(names, "img_in.weight")?;
        let [outputs, _] = matrix(names, "final_layer.linear.weight")?;
        let [_, context] = matrix(names, "txt_in.weight")?;
        let [_, mlp] = matrix(names, "double_blocks.0.img_mlp.2.weight")?;
        let head = head_width(names)?;
        if !hidden.is_multiple_of(head) || !features.is_multiple_of(cells) || !outputs.is_multiple_of(cells) {
            return Err(odd(format!(
                "{hidden} channels in heads of {head}, {features} features in, {outputs} out don't go together"
            )));
        }
        let (axes, theta) = version.positions(head);
        Ok(Self {
            version,
            hidden,
            in_channels: features / cells,
            out_channels: outputs / cells,
            context,
            vector: names.side("vector_in.in_layer.weight", 1),
            double: names.count("double_blocks."),
            single: names.count("single_blocks."),
            guidance: names.has("guidance_in.in_layer.weight"),
            mlp,
            head,
            axes,
            theta,
        })
    }

    /// The same with other positions: files don't hold them.
    #[must_use]
    pub fn with_positions(self, axes: Vec<usize>, theta: f64) -> Self {
        Self { axes, theta, ..self }
    }

    /// About how many bytes a pass holds beside its weights, for a latent of `[batch, height, width]` cells: a single
    /// block's widest row of each token, of 512 of the prompt and of the image.
    pub fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        let side = self.version.patch();
        let tokens = height.div_ceil(side) * width.div_ceil(side) + 512;
        let row = 8 * self.hidden + self.mlp_inner() + self.mlp;
        4 * (batch * tokens * row) as u64
    }

    /// Attention heads.
    pub fn heads(&self) -> usize {
        self.hidden / self.head.max(1)
    }

    /// Columns of a first MLP layer: value and gate where it is gated.
    pub(crate) fn mlp_inner(&self) -> usize {
        match self.version {
            FluxVersion::One => self.mlp,
            FluxVersion::Two => 2 * self.mlp,
        }
    }
}

impl FluxVersion {
    /// Cells along the side of a token's square.
    pub fn patch(self) -> usize {
        match self {
            Self::One => 2,
            Self::Two => 1,
        }
    }

    /// How much of a head each axis turns, and the base of the angles. The published networks have heads of 128; of a
    /// narrower head the first axis keeps at least 8.
    fn positions(self, head: usize) -> (Vec<usize>, f64) {
        match self {
            Self::One => {
                let first = (head / 8).max(8).min(head);
                let each = (head - first) / 2;
                (vec![first, each, each], 10_000.0)
            }
            Self::Two => (vec![head / 4; 4], 2000.0),
        }
    }
}

/// The length of the scale that the keys of the first block have; later files call it `weight`.
fn head_width(names: &TensorShapes) -> Result<usize, ModelError> {
    let stem = "double_blocks.0.img_attn.norm.key_norm";
    let found = ["scale", "weight"].iter().find_map(|end| names.side(&format!("{stem}.{end}"), 0));
    found.filter(|width| *width > 0).ok_or_else(|| odd(format!("`{stem}.scale` is missing")))
}

fn matrix(names: &TensorShapes, name: &str) -> Result<[usize; 2], ModelError> {
    let shape = names.shape(name).ok_or_else(|| odd(format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| odd(format!("`{name}` is {shape:?}, expected two sides")))
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a Flux network".into(), detail }
}
