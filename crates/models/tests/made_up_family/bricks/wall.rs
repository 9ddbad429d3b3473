//! The network: each cell of each frame goes through all bricks; the prompt's mean and the level move them.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_models::{Extras, ModelError, ModelWeights, Network, WeightBuilder, family::NetworkConfig, layers::Linear};

use super::config::WallConfig;

#[derive(Debug)]
pub(crate) struct Wall {
    config: WallConfig,
    entry: Linear,
    bricks: Vec<Linear>,
    exit: Linear,
}

impl Wall {
    pub(crate) fn new(config: WallConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let WallConfig { channels, width, bricks } = config;
        let brick = |n: usize| Linear::new(wb, &format!("bricks.{n}"), width, width);
        Ok(Self {
            config,
            entry: Linear::new(wb, "mortar_in", channels, width)?,
            bricks: (0..bricks).map(brick).collect::<Result<_, _>>()?,
            exit: Linear::new(wb, "mortar_out", width, channels)?,
        })
    }
}

impl Network for Wall {
    fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let ([batch, _, height, width], frames) = (x.dims(), extras.latent_frames);
        let (channels, cells) = (self.config.channels, frames * height * width);
        let level = Tensor::<1>::from_floats(timesteps, &x.device()).reshape([batch, 1, 1]);
        let moved = context.mean_dim(1).mean_dim(2) + level;
        let mut h = self.entry.forward(x.reshape([batch, channels, cells]).swap_dims(1, 2))? + moved;
        for brick in &self.bricks {
            h = h.clone() + brick.forward(h)?.tanh();
        }
        let out = self.exit.forward(h)?.swap_dims(1, 2);
        Ok(out.reshape([batch, channels * frames, height, width]))
    }

    fn channels(&self) -> usize {
        self.config.channels
    }

    fn activations(&self, [batch, height, width]: [usize; 3]) -> u64 {
        (4 * 4 * self.config.width * batch * height * width) as u64
    }

    fn has_frames(&self) -> bool {
        true
    }

    fn over(&self, weights: &ModelWeights) -> Result<Arc<dyn Network>, ModelError> {
        self.config.init(weights, None)
    }
}
