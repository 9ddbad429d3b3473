//! What sampling asks of a ControlNet, whatever its family.

use burn::tensor::Tensor;

use super::residuals::Residuals;
use crate::error::ModelError;
use crate::schedule::ModelSampling;

/// A control network with its hint, strength, range, and the control before it.
pub trait ControlSource: std::fmt::Debug + Send + Sync {
    /// What it adds to the network's activations; `None` outside of its range when nothing is before it.
    ///
    /// # Errors
    /// Of its network.
    fn residuals(&self, call: &ControlCall<'_>) -> Result<Option<Residuals>, ModelError>;
}

/// One evaluation as a ControlNet sees it.
#[derive(Debug)]
pub struct ControlCall<'a> {
    /// The noisy latents of the batch, `[B, C, h, w]`, in model space.
    pub x: &'a Tensor<4>,
    /// The noise level.
    pub sigma: f32,
    /// The model's schedule: input scaling, time step, ranges.
    pub sampling: &'a ModelSampling,
    /// The encoded prompts of the batch.
    pub context: &'a Tensor<3>,
    /// The vector beside the time embedding (SDXL).
    pub vector: Option<&'a Tensor<2>>,
}
