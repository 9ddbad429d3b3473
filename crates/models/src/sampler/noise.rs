//! Noise that a sampler adds on its way: independent draws, or increments of one Brownian path.
//!
//! Drawn by torch's CPU generator and moved to the latent's device.

use burn::tensor::{Device, Tensor, TensorData};

use super::math::Latent;
use crate::random::{BrownianTree, TorchGenerator};

/// ComfyUI's default noise sampler: a new generator with the run's seed, so that its first draw repeats the initial
/// noise.
#[derive(Debug)]
pub(super) struct StepNoise {
    generator: TorchGenerator,
}

impl StepNoise {
    pub(super) fn new(seed: u64) -> Self {
        Self { generator: TorchGenerator::new(seed) }
    }

    /// A generator that has drawn so many values already.
    pub(super) fn after(seed: u64, drawn: usize) -> Self {
        let mut generator = TorchGenerator::new(seed);
        generator.randn(drawn);
        Self { generator }
    }

    pub(super) fn draw(&mut self, like: &Latent) -> Latent {
        let shape = like.dims();
        tensor(self.generator.randn(shape.iter().product()), shape, &like.device())
    }
}

/// k-diffusion's BrownianTreeNoiseSampler.
#[derive(Debug)]
pub(super) struct Brownian {
    tree: BrownianTree,
    shape: [usize; 4],
    device: Device,
}

impl Brownian {
    pub(super) fn new(sigmas: &[f32], seed: u64, like: &Latent) -> Self {
        let min = sigmas.iter().copied().filter(|s| *s > 0.0).fold(f32::INFINITY, f32::min);
        let max = sigmas.iter().copied().fold(0.0, f32::max);
        let shape = like.dims();
        let tree = BrownianTree::new(min.min(max), max, seed, shape.iter().product());
        Self { tree, shape, device: like.device() }
    }

    /// Noise for the step between two levels.
    pub(super) fn step(&self, from: f32, to: f32) -> Latent {
        tensor(self.tree.step(from, to), self.shape, &self.device)
    }
}

fn tensor(values: Vec<f32>, shape: [usize; 4], device: &Device) -> Latent {
    Tensor::from_data(TensorData::new(values, shape), device)
}
