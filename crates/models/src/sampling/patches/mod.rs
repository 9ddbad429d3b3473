//! What a model carries to change how it is sampled: around guidance, inside of the network, and at the denoise mask.
//!
//! Knows predictions and how to ask for more of them. Knows nothing of nodes; each change names its paper.

mod after;
pub(super) mod apply;
mod before;
mod blur;
pub(super) mod skip;
mod skips;

use std::sync::Arc;

use burn::tensor::Tensor;

pub use skips::{BlockSkips, LevelRange};

use crate::nets::hooks::{Hooks, SkippedBlocks};
use crate::sampler::SamplingError;
use crate::sampling::reuse::StepReuse;

/// Everything that a model carries.
#[derive(Debug, Clone, Default)]
pub struct ModelPatches {
    /// Inside of the network.
    pub hooks: Hooks,
    /// Around guidance, in the order of the nodes.
    pub guidance: Vec<GuidancePatch>,
    /// Differential diffusion (Levin and Fried 2023): the denoise mask says *when* a place is freed, to this degree.
    pub differential: Option<f64>,
    /// Steps that may be guessed from those before (EasyCache, LazyCache).
    pub reuse: Option<StepReuse>,
}

/// A change around guidance.
#[derive(Debug, Clone)]
pub enum GuidancePatch {
    /// TCFG (arXiv 2503.18137): of the negative only what lies along the common direction stays.
    Tangential,
    /// Adaptive projected guidance (Sadat et al. 2024).
    Projected {
        /// How much of the guidance along the positive prediction stays.
        eta: f32,
        /// The longest guidance; 0 for no limit.
        norm: f32,
        /// How much of the steps before is added; 0 for nothing.
        momentum: f32,
    },
    /// FreSca (arXiv 2504.02154): low and high frequencies of the guidance scaled apart.
    Frequencies {
        /// Factor on the low ones.
        low: f32,
        /// Factor on the high ones.
        high: f32,
        /// How many count as low, along each axis.
        cutoff: usize,
    },
    /// Any change of the guidance as a latent.
    Operation(Arc<dyn LatentChange>),
    /// Perturbed-attention guidance (Ahn et al. 2024).
    Perturbed {
        /// How far from the perturbed prediction.
        scale: f32,
    },
    /// Self-attention guidance (Hong et al. 2023).
    SelfAttention {
        /// How far from the prediction over blurred places.
        scale: f32,
        /// How far the blur reaches, in cells; 0 for none.
        blur: f32,
    },
    /// Guidance by direction (ComfyUI's Mahiro).
    Direction,
    /// CFG-Zero* (arXiv 2503.18886) without its zero steps: the negative scaled to fit the positive best.
    ZeroStar,
    /// RenormCFG (Lumina-Image 2.0): plain guidance no longer than the positive prediction, times a factor; above a
    /// noise level the positive prediction alone.
    Renorm {
        /// From this level up the negative is left out.
        trunc: f32,
        /// The factor; 0 for no limit.
        factor: f32,
    },
    /// Guided cells no longer than the positive prediction's, times a factor.
    Norm {
        /// The factor.
        strength: f32,
    },
    /// Epsilon scaling (arXiv 2308.15321): the predicted noise divided by a number.
    Epsilon {
        /// The number.
        factor: f32,
    },
    /// Away from the prediction without some of the network's blocks.
    BlockSkips(BlockSkips),
    /// The negative prediction is made without some of the network's blocks.
    NegativeSkips {
        /// The blocks.
        blocks: SkippedBlocks,
        /// When.
        range: LevelRange,
    },
    /// Temporal score rescaling (arXiv 2510.01184).
    Temporal {
        /// The factor at low noise.
        k: f32,
        /// How early it takes effect.
        sigma: f32,
    },
}

/// A change of latents that nodes hand around.
pub trait LatentChange: std::fmt::Debug + Send + Sync {
    /// The changed latent, of the same shape.
    ///
    /// # Errors
    /// When the latent doesn't suit it.
    fn apply(&self, latent: Tensor<4>) -> Result<Tensor<4>, SamplingError>;
}

impl ModelPatches {
    /// Whether the negative is wanted at scale 1, too.
    pub(super) fn want_negative(&self) -> bool {
        self.records_attention()
    }

    /// Whether self-attention of the negative is to be noted.
    pub(super) fn records_attention(&self) -> bool {
        self.guidance.iter().any(|patch| matches!(patch, GuidancePatch::SelfAttention { .. }))
    }

    /// Whether all numbers are numbers.
    pub(super) fn check(&self) -> Result<(), SamplingError> {
        for patch in &self.guidance {
            let numbers: &[(&'static str, f32)] = match patch {
                GuidancePatch::Projected { eta, norm, momentum } => {
                    &[("eta", *eta), ("norm_threshold", *norm), ("momentum", *momentum)]
                }
                GuidancePatch::Frequencies { low, high, .. } => &[("scale_low", *low), ("scale_high", *high)],
                GuidancePatch::Perturbed { scale } => &[("scale", *scale)],
                GuidancePatch::SelfAttention { scale, blur } => &[("scale", *scale), ("blur_sigma", *blur)],
                GuidancePatch::Norm { strength } => &[("strength", *strength)],
                GuidancePatch::Renorm { trunc, factor } => &[("cfg_trunc", *trunc), ("renorm_cfg", *factor)],
                GuidancePatch::Epsilon { factor } => &[("scaling_factor", *factor)],
                GuidancePatch::Temporal { k, sigma } => &[("tsr_k", *k), ("tsr_sigma", *sigma)],
                GuidancePatch::BlockSkips(BlockSkips { scale, rescale, .. }) => {
                    &[("scale", *scale), ("rescaling_scale", *rescale)]
                }
                GuidancePatch::Tangential
                | GuidancePatch::NegativeSkips { .. }
                | GuidancePatch::Operation(_)
                | GuidancePatch::Direction
                | GuidancePatch::ZeroStar => &[],
            };
            if let Some((what, found)) = numbers.iter().find(|(_, number)| !number.is_finite()) {
                return Err(SamplingError::Number { what, found: f64::from(*found), expected: "a finite number" });
            }
        }
        if let Some(StepReuse { threshold, start, end, .. }) = self.reuse {
            let numbers = [("reuse_threshold", f64::from(threshold)), ("start_percent", start), ("end_percent", end)];
            if let Some((what, found)) = numbers.into_iter().find(|(_, number)| !number.is_finite()) {
                return Err(SamplingError::Number { what, found, expected: "a finite number" });
            }
        }
        Ok(())
    }
}
