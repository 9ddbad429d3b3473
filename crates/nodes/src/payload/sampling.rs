//! What samplers are put together from: `SIGMAS`, `SAMPLER`, `GUIDER`, `NOISE`.

use std::sync::Arc;

use kiln_exec::object;
use kiln_models::sampler::{Options, SamplerKind};
use kiln_models::sampling::Guidance;

use super::model::Model;

/// Noise levels, falling; usually the last one is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmas(pub Arc<[f32]>);

object!(Sigmas, "SIGMAS", |s| s.0.len() as u64 * 4);

impl From<Vec<f32>> for Sigmas {
    fn from(levels: Vec<f32>) -> Self {
        Self(levels.into())
    }
}

/// A sampler with its options.
#[derive(Clone, Debug)]
pub struct Sampler {
    /// Which one.
    pub kind: SamplerKind,
    /// Numbers it takes.
    pub options: Options,
}

object!(Sampler, "SAMPLER");

/// A model with conditions and the rule that mixes their predictions.
#[derive(Clone, Debug)]
pub struct Guider {
    /// The model.
    pub model: Model,
    /// Conditions and their mixture.
    pub guidance: Arc<Guidance>,
}

object!(Guider, "GUIDER");

/// Where noise comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    /// Seed of initial and step noise.
    pub seed: u64,
    /// Whether there is any at the start.
    pub enabled: bool,
}

object!(Noise, "NOISE");
