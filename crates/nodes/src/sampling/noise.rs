//! Where noise comes from.

use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::payload::Noise;

/// Noise from a seed.
#[derive(Node)]
#[node(category = "sampling/custom_sampling/noise", module = "comfy_extras.nodes_custom_sampler")]
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
#[node(category = "sampling/custom_sampling/noise", module = "comfy_extras.nodes_custom_sampler")]
pub struct DisableNoise {}

impl Execute for DisableNoise {
    type Output = Noise;

    fn execute(self, _: &mut Cx) -> Result<Noise, NodeError> {
        Ok(Noise { seed: 0, enabled: false })
    }
}
