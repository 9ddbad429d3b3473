//! Sums and mixtures of latents.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::resize::{Crop, Method, fit, repeat_to};
use crate::payload::Latent;

/// The second latent in the size and number of the first.
fn like(second: &Latent, first: &Latent) -> Result<Tensor<4>, NodeError> {
    let [batch, channels, height, width] = first.dims();
    let found = second.dims()[1];
    if found != channels {
        return Err(NodeError::new(format!(
            "`samples1` has {channels} channels and `samples2` {found}; they belong to different kinds of model"
        )));
    }
    let fitted = fit(second.tensor(), [height, width], Method::Bilinear, Crop::Center)?;
    Ok(repeat_to(fitted, batch))
}

/// Adds two latents.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentAdd {
    /// The first latent; its mask and size are kept.
    samples1: Latent,
    /// Added to it, resized if need be.
    samples2: Latent,
}

impl Execute for LatentAdd {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let second = like(&self.samples2, &self.samples1)?;
        Ok(self.samples1.with_samples(self.samples1.tensor() + second))
    }
}

/// Subtracts the second latent from the first.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentSubtract {
    /// The first latent; its mask and size are kept.
    samples1: Latent,
    /// Taken from it, resized if need be.
    samples2: Latent,
}

impl Execute for LatentSubtract {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let second = like(&self.samples2, &self.samples1)?;
        Ok(self.samples1.with_samples(self.samples1.tensor() - second))
    }
}

/// Multiplies a latent by a number.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentMultiply {
    /// The latent.
    samples: Latent,
    /// The factor.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    multiplier: f32,
}

impl Execute for LatentMultiply {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        Ok(self.samples.with_samples(self.samples.tensor() * self.multiplier))
    }
}

/// Mixes directions and lengths of two latents apart, so that a mixture is as strong as its parts.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced", module = "comfy_extras.nodes_latent")]
pub struct LatentInterpolate {
    /// The first latent.
    samples1: Latent,
    /// The second latent, resized if need be.
    samples2: Latent,
    /// The share of the first.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    ratio: f32,
}

impl Execute for LatentInterpolate {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let (first, second) = (self.samples1.tensor(), like(&self.samples2, &self.samples1)?);
        let (length1, length2) = (length(&first), length(&second));
        let mixed = unit(first, &length1) * self.ratio + unit(second, &length2) * (1.0 - self.ratio);
        let direction = unit(mixed.clone(), &length(&mixed));
        Ok(self.samples1.with_samples(direction * (length1 * self.ratio + length2 * (1.0 - self.ratio))))
    }
}

/// Length over channels, `[batch, 1, height, width]`.
fn length(x: &Tensor<4>) -> Tensor<4> {
    x.clone().square().sum_dim(1).sqrt()
}

/// `x / length`, 0 where the length is 0.
fn unit(x: Tensor<4>, length: &Tensor<4>) -> Tensor<4> {
    let zero = length.clone().equal_elem(0.0);
    x / length.clone().mask_fill(zero, 1.0)
}

/// Mixes two latents linearly.
#[derive(Node)]
#[node(display_name = "Latent Blend", category = "_for_testing")]
pub struct LatentBlend {
    /// The first latent.
    samples1: Latent,
    /// The second latent, resized if need be.
    samples2: Latent,
    /// The share of the first.
    #[input(default = 0.5, min = 0, max = 1, step = 0.01)]
    blend_factor: f32,
}

impl Execute for LatentBlend {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let [batch, _, height, width] = self.samples1.dims();
        let second = fit(self.samples2.tensor(), [height, width], Method::Bicubic, Crop::Center)?;
        let mixed = self.samples1.tensor() * self.blend_factor + repeat_to(second, batch) * (1.0 - self.blend_factor);
        Ok(self.samples1.with_samples(mixed))
    }
}
