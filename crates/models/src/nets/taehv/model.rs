//! A tiny autoencoder of clips over weight handles.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::config::{GROWS, POOLS, TaehvConfig, TaehvHalf};
use super::step::{Activation, Memory, Step};
use crate::{
    error::ModelError,
    nets::layers::Conv2d,
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// A tiny autoencoder of clips. Holds a few frames at a time, however long the clip is.
#[derive(Debug)]
pub struct Taehv {
    config: TaehvConfig,
    encoder: Vec<Step>,
    decoder: Vec<Step>,
}

impl TaehvConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Taehv, ModelError> {
        WeightBuilder::build("tiny autoencoder of clips", weights, |wb| Taehv::new(self, wb))
    }

    /// Name and shape of every tensor of this network.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Taehv::new(self, wb))
    }

    fn activation(&self) -> Activation {
        if self.leaky { Activation::Leaky } else { Activation::Cut }
    }

    fn image(&self) -> usize {
        3 * self.patch * self.patch
    }

    fn encoder(&self, wb: &WeightBuilder<'_>) -> Result<Vec<Step>, ModelError> {
        let (act, TaehvHalf { channels: [inside, ..], frames }) = (self.activation(), &self.encoder);
        let inside = *inside;
        let mut steps = vec![Step::Conv(Conv2d::new(wb, "encoder.0", self.image(), inside, 3)?), Step::Active(act)];
        for (n, frames) in POOLS.into_iter().zip(frames) {
            steps.push(Step::join(wb, &format!("encoder.{n}"), inside, *frames)?);
            let halve = Conv2d::without_bias(wb, &format!("encoder.{}", n + 1), inside, inside, 3)?;
            steps.push(Step::Conv(halve.with_stride(2)));
            for n in n + 2..n + 5 {
                steps.push(Step::block(wb, &format!("encoder.{n}"), inside, act)?);
            }
        }
        steps.push(Step::Conv(Conv2d::new(wb, "encoder.17", inside, self.latent, 3)?));
        Ok(steps)
    }

    fn decoder(&self, wb: &WeightBuilder<'_>) -> Result<Vec<Step>, ModelError> {
        let (act, TaehvHalf { channels, frames }) = (self.activation(), &self.decoder);
        let first = Conv2d::new(wb, "decoder.1", self.latent, channels[0], 3)?;
        let mut steps = vec![Step::Clamp, Step::Conv(first), Step::Active(act)];
        for ((n, frames), level) in GROWS.into_iter().zip(frames).zip(channels.windows(2)) {
            for n in n - 4..n - 1 {
                steps.push(Step::block(wb, &format!("decoder.{n}"), level[0], act)?);
            }
            steps.push(Step::Double);
            steps.push(Step::split(wb, &format!("decoder.{n}"), level[0], *frames)?);
            let conv = Conv2d::without_bias(wb, &format!("decoder.{}", n + 1), level[0], level[1], 3)?;
            steps.push(Step::Conv(conv));
        }
        steps.push(Step::Active(act));
        steps.push(Step::Conv(Conv2d::new(wb, "decoder.22", channels[3], self.image(), 3)?));
        Ok(steps)
    }
}

impl Taehv {
    fn new(config: &TaehvConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        Ok(Self { config: config.clone(), encoder: config.encoder(wb)?, decoder: config.decoder(wb)? })
    }

    /// The sizes.
    pub fn config(&self) -> &TaehvConfig {
        &self.config
    }

    /// Pixels along a side of a latent's cell.
    pub fn scale(&self) -> usize {
        8 * self.config.patch
    }

    /// The images of a clip's latents, in 0..1 (not clamped): the first latent frame is one image, each other one as many
    /// as the network makes of it.
    ///
    /// # Shapes
    /// `[frames, latent, h, w]` to `[1 + (frames - 1) · stride, 3, h · scale, w · scale]`.
    /// # Errors
    /// Without frames, for other channels, or when weights can't be had.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let dims = latents.dims();
        check("latents", dims, self.config.latent)?;
        let (mut memory, mut images) = (memory(&self.decoder), Vec::new());
        for frame in 0..dims[0] {
            let made = run(&self.decoder, latents.clone().narrow(0, frame, 1), &mut memory)?;
            let count = made.dims()[0];
            // All but one of the first frame's images would show the time before.
            let skipped = if frame == 0 { count - 1 } else { 0 };
            images.push(made.narrow(0, skipped, count - skipped));
        }
        let images = Tensor::cat(images, 0);
        if self.config.patch == 1 { Ok(images) } else { Ok(ops::pixel_shuffle(images, self.config.patch)?) }
    }

    /// The latents of a clip's images, 0..1. Where frames are missing at the end, the last one is repeated.
    ///
    /// # Shapes
    /// `[frames, 3, h, w]` to `[frames / stride rounded up, latent, h / scale, w / scale]`.
    /// # Errors
    /// Without frames, for other channels, for sides that the cells don't divide, or when weights can't be had.
    pub fn encode(&self, images: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let dims = images.dims();
        let [frames, _, height, width] = dims;
        check("images", dims, 3)?;
        if !height.is_multiple_of(self.scale()) || !width.is_multiple_of(self.scale()) {
            return Err(wrong("images", dims, format!("[frames, 3, h, w] with sides that {} divides", self.scale())));
        }
        let stride = self.config.encoder.stride();
        let (mut memory, mut latents) = (memory(&self.encoder), Vec::new());
        for first in (0..frames).step_by(stride) {
            let there = stride.min(frames - first);
            let mut piece = vec![images.clone().narrow(0, first, there)];
            if there < stride {
                piece.push(images.clone().narrow(0, frames - 1, 1).repeat_dim(0, stride - there));
            }
            let piece = unshuffled(Tensor::cat(piece, 0), self.config.patch);
            latents.push(run(&self.encoder, piece, &mut memory)?);
        }
        Ok(Tensor::cat(latents, 0))
    }
}

fn check(what: &'static str, dims: [usize; 4], channels: usize) -> Result<(), ModelError> {
    if dims[1] == channels && !dims.contains(&0) {
        return Ok(());
    }
    Err(wrong(what, dims, format!("[frames, {channels}, h, w] with at least one frame")))
}

pub(super) fn wrong(what: &'static str, found: [usize; 4], expected: String) -> ModelError {
    ModelError::Input { network: "tiny autoencoder of clips", what, expected, found: found.to_vec() }
}

fn memory(steps: &[Step]) -> Memory {
    vec![None; steps.len()]
}

fn run(steps: &[Step], x: Tensor<4>, memory: &mut Memory) -> Result<Tensor<4>, ModelError> {
    steps.iter().zip(memory).try_fold(x, |x, (step, last)| step.forward(x, last))
}

/// Blocks of pixels as channels: the pixel shuffle backwards.
fn unshuffled(x: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return x;
    }
    let [frames, channels, height, width] = x.dims();
    let blocks = x.reshape([frames, channels, height / side, side, width / side, side]).permute([0, 1, 3, 5, 2, 4]);
    blocks.reshape([frames, channels * side * side, height / side, width / side])
}
