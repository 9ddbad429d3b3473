//! An image as a prompt: its CLIP embedding, how strongly it counts, and the noise it is taken with.

use burn::tensor::Tensor;

/// Images as prompts (unCLIPConditioning).
#[derive(Debug, Clone)]
pub struct ImagePrompt {
    /// Their projected CLIP embeddings, `[images, width]`.
    pub embeds: Tensor<2>,
    /// How strongly they count; may be negative.
    pub strength: f64,
    /// How much noise they are taken with: 0 for almost none, 1 for nothing else.
    pub noise: f64,
}
