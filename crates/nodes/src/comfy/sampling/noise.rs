//! Where noise comes from.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::{sampling::noise_for, schedule::scaling::noisy};

use crate::payload::{Latent, Model, Noise, Sigmas, values};

/// Noise from a seed.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/noise", module = "comfy_extras.nodes_custom_sampler")]
pub struct RandomNoise {
    /// The same seed gives the same noise.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    noise_seed: u64,
}

impl Execute for RandomNoise {
    type Output = Noise;

    fn execute(self, _: &mut Cx) -> Result<Noise, NodeError> {
        Ok(Noise { seed: self.noise_seed, enabled: true })
    }
}

/// No noise at the start of a run.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/noise", module = "comfy_extras.nodes_custom_sampler")]
pub struct DisableNoise {}

impl Execute for DisableNoise {
    type Output = Noise;

    fn execute(self, _: &mut Cx) -> Result<Noise, NodeError> {
        Ok(Noise { seed: 0, enabled: false })
    }
}

/// Adds noise to a latent as the start of a run over these levels would.
#[derive(Node)]
#[node(
    unnamed,
    category = "_for_testing/custom_sampling/noise",
    module = "comfy_extras.nodes_custom_sampler",
    experimental
)]
pub struct AddNoise {
    /// The model, which says how noise and latent are mixed.
    model: Model,
    /// The noise.
    noise: Noise,
    /// The levels: as much noise as lies between the first and the last.
    sigmas: Sigmas,
    /// The latent.
    latent_image: Latent,
}

impl Execute for AddNoise {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let Self { model, noise, sigmas, latent_image } = self;
        let level = match &*sigmas.0 {
            [] => return Ok(latent_image),
            [only] => *only,
            [first, .., last] => (first - last).abs(),
        };
        let latent = latent_image.tensor();
        let noise = if noise.enabled {
            noise_for(&latent, noise.seed, latent_image.batch_index.as_deref())?
        } else {
            latent.zeros_like()
        };
        let format = &model.network.latent;
        let empty = values(latent.clone())?.iter().all(|v| *v == 0.0);
        let latent = if empty { latent } else { format.process_in(latent) };
        let mixed = format.process_out(noisy(&model.sampling, noise, latent, level, false));
        Ok(latent_image.with_samples(finite(mixed)))
    }
}

/// `x` with zeros where a value is no number.
fn finite(x: Tensor<4>) -> Tensor<4> {
    let broken = x.clone().is_nan().bool_or(x.clone().is_inf());
    x.mask_fill(broken, 0.0)
}
