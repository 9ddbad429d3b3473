//! `LATENT_OPERATION`: changes to latents that can be handed around before they are applied.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError, object};
use kiln_models::{sampler::SamplingError, sampling::LatentChange};

use crate::comfy::image::filter::{gaussian, sharpening};
use crate::payload::{Image, Latent, values};

/// A change to latents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LatentOperation {
    /// Lengths of cells above the usual are pressed together (Reinhard et al. 2002).
    Tonemap {
        /// How far above.
        multiplier: f32,
    },
    /// Directions of cells move away from their surroundings.
    Sharpen {
        /// How far around each cell to look.
        radius: usize,
        /// How much the far cells count.
        sigma: f32,
        /// How strongly.
        alpha: f32,
    },
}

object!(LatentOperation, "LATENT_OPERATION");

impl LatentOperation {
    /// The changed latent, `[B, C, H, W]`.
    ///
    /// # Errors
    /// When it is smaller than what the operation looks at.
    pub fn apply(self, latent: Tensor<4>) -> Result<Tensor<4>, NodeError> {
        match self {
            Self::Tonemap { multiplier } => tonemap(latent, multiplier),
            Self::Sharpen { radius, sigma, alpha } => {
                let length = latent.clone().square().sum_dim(1).sqrt() + 1e-6;
                let direction = Image::from_planes(latent / length.clone());
                let kernel = sharpening(gaussian(radius, sigma), alpha);
                Ok(crate::comfy::image::filter::filtered(&direction, &kernel, radius)?.planes() * length)
            }
        }
    }
}

impl LatentChange for LatentOperation {
    fn apply(&self, latent: Tensor<4>) -> Result<Tensor<4>, SamplingError> {
        (*self).apply(latent).map_err(|error| SamplingError::Change(error.to_string()))
    }
}

fn tonemap(latent: Tensor<4>, multiplier: f32) -> Result<Tensor<4>, NodeError> {
    let length = latent.clone().square().sum_dim(1).sqrt() + 1e-10;
    let direction = latent / length.clone();
    let [batch, _, rows, columns] = length.dims();
    let lengths = values(length.clone())?;
    let count = (rows * columns).max(1);
    let top = |item: &[f32]| {
        let mean = item.iter().map(|v| f64::from(*v)).sum::<f64>() / count as f64;
        let square = item.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>();
        ((square / count.saturating_sub(1).max(1) as f64).sqrt() * 5.0 + mean) as f32 * multiplier
    };
    let tops: Vec<f32> = lengths.chunks_exact(count).map(top).collect();
    let tops = Tensor::<1>::from_floats(tops.as_slice(), &length.device()).reshape([batch, 1, 1, 1]);
    let relative = length / tops.clone();
    Ok(direction * (relative.clone() / (relative + 1.0) * tops))
}

/// Presses together what is too strong.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced/operations", module = "comfy_extras.nodes_latent", experimental)]
pub struct LatentOperationTonemapReinhard {
    /// What counts as too strong; higher changes less.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01)]
    multiplier: f32,
}

impl Execute for LatentOperationTonemapReinhard {
    type Output = LatentOperation;

    fn execute(self, _: &mut Cx) -> Result<LatentOperation, NodeError> {
        Ok(LatentOperation::Tonemap { multiplier: self.multiplier })
    }
}

/// Sharpens latents.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced/operations", module = "comfy_extras.nodes_latent", experimental)]
pub struct LatentOperationSharpen {
    /// How far around each cell to look.
    #[input(default = 9, min = 1, max = 31, step = 1)]
    sharpen_radius: usize,
    /// How much the far cells count.
    #[input(default = 1.0, min = 0.1, max = 10.0, step = 0.1)]
    sigma: f32,
    /// How strongly.
    #[input(default = 0.1, min = 0.0, max = 5.0, step = 0.01)]
    alpha: f32,
}

impl Execute for LatentOperationSharpen {
    type Output = LatentOperation;

    fn execute(self, _: &mut Cx) -> Result<LatentOperation, NodeError> {
        let Self { sharpen_radius: radius, sigma, alpha } = self;
        Ok(LatentOperation::Sharpen { radius, sigma, alpha })
    }
}

/// Applies a change to latents.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced/operations", module = "comfy_extras.nodes_latent", experimental)]
pub struct LatentApplyOperation {
    /// The latents.
    samples: Latent,
    /// The change.
    operation: LatentOperation,
}

impl Execute for LatentApplyOperation {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        Ok(self.samples.with_samples(self.operation.apply(self.samples.tensor())?))
    }
}
