//! The shape of a Z-Image network as plain data, and how it is read off tensor names and shapes.
//!
//! Knows the original names only; diffusers' are renamed before they come here.

use crate::error::ModelError;
use kiln_memory::TensorShapes;

/// The sizes of a Z-Image network, enough to name and shape every tensor of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ZImageConfig {
    /// Channels per token.
    pub dim: usize,
    /// Width of the encoded prompt.
    pub caption: usize,
    /// Channels of latents.
    pub channels: usize,
    /// Blocks over caption and image.
    pub layers: usize,
    /// Blocks over the image alone, before them.
    pub noise_refiners: usize,
    /// Blocks over the caption alone, before them.
    pub context_refiners: usize,
    /// Width of a head.
    pub head: usize,
    /// Width inside the MLPs.
    pub mlp: usize,
    /// Widths of the noise level's embedding, inside and out.
    pub time: [usize; 2],
    /// Rows of tokens are filled up with learned ones to multiples of this.
    pub padding: Option<usize>,
    /// How much of a head each axis of a position turns; not in a file.
    pub axes: Vec<usize>,
    /// Base of the positions' angles; not in a file.
    pub theta: f64,
}

/// Cells along the side of a token's square.
pub(super) const SIDE: usize = 2;

impl ZImageConfig {
    /// Whether names without prefix are those of a Z-Image network.
    pub fn fits(names: &TensorShapes) -> bool {
        names.has("cap_embedder.1.weight") && names.has("layers.0.adaLN_modulation.0.weight")
    }

    /// Reads the configuration off names and shapes in original names, without prefix.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` naming what is missing or odd, and for Lumina 2, which is not covered.
    pub fn from_names(names: &TensorShapes) -> Result<Self, ModelError> {
        if names.has("layers.0.adaLN_modulation.1.weight") {
            return Err(odd("it is Lumina 2 (`adaLN_modulation.1`), which Kiln does not run".into()));
        }
        let [dim, features] = matrix(names, "x_embedder.weight")?;
        let [_, caption] = matrix(names, "cap_embedder.1.weight")?;
        let [mlp, _] = matrix(names, "layers.0.feed_forward.w1.weight")?;
        let [inside, _] = matrix(names, "t_embedder.mlp.0.weight")?;
        let [out, _] = matrix(names, "t_embedder.mlp.2.weight")?;
        let name = "layers.0.attention.q_norm.weight";
        let head = names.side(name, 0).filter(|head| *head > 0).ok_or_else(|| odd(format!("`{name}` is missing")))?;
        if !dim.is_multiple_of(head) || !features.is_multiple_of(SIDE * SIDE) {
            return Err(odd(format!("{dim} channels in heads of {head} over {features} features don't go together")));
        }
        // Heads of all published networks are 128 wide.
        let second = head * 3 / 8;
        Ok(Self {
            dim,
            caption,
            channels: features / (SIDE * SIDE),
            layers: names.count("layers."),
            noise_refiners: names.count("noise_refiner."),
            context_refiners: names.count("context_refiner."),
            head,
            mlp,
            time: [inside, out],
            padding: names.has("cap_pad_token").then_some(32),
            axes: vec![head - 2 * second, second, second],
            theta: 256.0,
        })
    }

    /// The same with other positions: files don't hold them.
    #[must_use]
    pub fn with_positions(self, axes: Vec<usize>, theta: f64) -> Self {
        Self { axes, theta, ..self }
    }

    /// About how many bytes a pass holds beside its weights, for a latent of `[batch, height, width]` cells: an MLP's
    /// rows of each token, of 512 of the prompt and of the image.
    pub fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        let tokens = height.div_ceil(SIDE) * width.div_ceil(SIDE) + 512;
        4 * (batch * tokens * (6 * self.dim + 2 * self.mlp)) as u64
    }

    /// Attention heads.
    pub fn heads(&self) -> usize {
        self.dim / self.head.max(1)
    }
}

fn matrix(names: &TensorShapes, name: &str) -> Result<[usize; 2], ModelError> {
    let shape = names.shape(name).ok_or_else(|| odd(format!("`{name}` is missing")))?;
    shape.try_into().map_err(|_| odd(format!("`{name}` is {shape:?}, expected two sides")))
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a Z-Image network".into(), detail }
}
