//! The trait of control networks, whatever their family, and what one evaluation takes.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::residuals::Residuals;
use crate::error::ModelError;
use crate::image::{Crop, Method, Planes, common_upscale};
use crate::schedule::ModelSampling;
use crate::weights::ModelWeights;

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
    /// How many conditions share the batch, one after the other, each with as many latents.
    pub conditions: usize,
    /// The weights of the network that is steered: control-LoRAs stand on them.
    pub base: Option<&'a ModelWeights>,
}

/// One item per control image, dealt to a batch of latents: within each condition in turn, as often as needed; surplus
/// items are left out. As many items as latents in all are taken as they are.
///
/// Source: ComfyUI `comfy/controlnet.py`, `broadcast_image_to`.
pub(super) fn dealt(items: Tensor<4>, batch: usize, conditions: usize) -> Tensor<4> {
    let own = items.dims()[0];
    if own == batch || own == 0 {
        return items;
    }
    let conditions = conditions.max(1);
    let each = batch / conditions;
    items.repeat_dim(0, each.div_ceil(own)).narrow(0, 0, each).repeat_dim(0, conditions)
}

/// What every control network at work has beside its network: its hint image, how much, when, and the control before it.
#[derive(Debug)]
pub(super) struct ControlSetup {
    /// `[batch, 3, h, w]` in 0..1.
    pub(super) hint: Planes,
    pub(super) strength: f32,
    /// In percent of the run, 0 to 1.
    pub(super) range: [f64; 2],
    pub(super) previous: Option<Arc<dyn ControlSource>>,
}

impl ControlSetup {
    /// The residuals of the controls before, and within the range those of `own` times the strength.
    ///
    /// # Errors
    /// Of the networks.
    pub(super) fn residuals(
        &self,
        call: &ControlCall<'_>,
        own: impl FnOnce() -> Result<Residuals, ModelError>,
    ) -> Result<Option<Residuals>, ModelError> {
        let before = self.previous.as_ref().map(|previous| previous.residuals(call)).transpose()?.flatten();
        if !self.holds_at(call) {
            return Ok(before);
        }
        let own = own()?;
        Ok(Some(match before {
            Some(before) => own.plus(before),
            None => own,
        }))
    }

    fn holds_at(&self, call: &ControlCall<'_>) -> bool {
        let [start, end] = self.range.map(|percent| call.sampling.levels.percent_to_sigma(percent));
        let sigma = f64::from(call.sigma);
        sigma <= start && sigma >= end
    }

    /// The hint at a size, cut to its proportions.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` for a size that no image has; `what` names the network with its article.
    pub(super) fn fitted_hint(&self, [height, width]: [usize; 2], what: &str) -> Result<Planes, ModelError> {
        let planes = common_upscale(&self.hint, width, height, Method::NearestExact, Crop::Center);
        planes.map_err(|error| ModelError::Unrecognised { what: what.to_owned(), detail: error.to_string() })
    }
}
