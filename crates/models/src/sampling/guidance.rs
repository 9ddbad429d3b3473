//! How predictions of several conditionings become one.

use burn::tensor::Tensor;

use super::evaluate::EvalRequest;
use super::frame_course::FrameCourse;
use super::patches::ModelPatches;
use super::prepare::{Prepared, Role};
use crate::conditioning::Conditioning;
use crate::nets::hooks::AttentionRecord;
use crate::sampler::Denoised;
use crate::sampler::SamplingError;
use crate::sampling::patches::apply::{CfgPair, GuidanceContext, PatchMemory};
use crate::schedule::ModelSampling;

/// Conditionings and the rule that mixes their predictions (the guider nodes).
#[derive(Debug, Clone)]
pub enum Guidance {
    /// Classifier-free guidance (Ho and Salimans 2022).
    Cfg {
        /// What to draw.
        positive: Conditioning,
        /// What to move away from.
        negative: Conditioning,
        /// How far: 1 leaves the negative out.
        scale: f64,
        /// RescaleCFG's multiplier (Lin et al. 2023), if it is on.
        rescale: Option<f64>,
    },
    /// Classifier-free guidance whose scale differs from frame to frame (VideoLinearCFGGuidance, VideoTriangleCFGGuidance).
    Frames {
        /// What to draw.
        positive: Conditioning,
        /// What to move away from.
        negative: Conditioning,
        /// How far at most.
        scale: f64,
        /// How far at least.
        least: f64,
        /// How the scale runs from frame to frame.
        course: FrameCourse,
    },
    /// One conditioning alone.
    Basic(Conditioning),
    /// Perp-Neg (arXiv 2304.04968): only what of the negative is at right angles to the positive is taken away.
    PerpNeg {
        /// What to draw.
        positive: Conditioning,
        /// What to move away from.
        negative: Conditioning,
        /// An empty prompt, from which both are measured.
        empty: Conditioning,
        /// How far from the empty prompt.
        scale: f64,
        /// The negative's share.
        negative_scale: f64,
    },
    /// Two conditionings and a negative one.
    Dual {
        /// What to draw.
        first: Conditioning,
        /// What to draw from.
        second: Conditioning,
        /// What to move away from.
        negative: Conditioning,
        /// From `second` to `first`.
        scale_conds: f64,
        /// From `negative` to `second` (or, nested, to their mixture).
        scale_negative: f64,
        /// Whether the first two are mixed before the negative comes in.
        nested: bool,
    },
}

impl Guidance {
    /// The lists to evaluate, in the order of [`mix`](Self::mix)'s predictions. `with_negative` evaluates the negative at
    /// scale 1, too.
    pub(super) fn lists(&self) -> Vec<(Role, &Conditioning)> {
        match self {
            Self::Cfg { positive, negative, .. } | Self::Frames { positive, negative, .. } => {
                vec![(Role::Positive, positive), (Role::Negative, negative)]
            }
            Self::Basic(positive) => vec![(Role::Positive, positive)],
            Self::PerpNeg { positive, negative, empty, .. } => {
                vec![(Role::Positive, positive), (Role::Negative, negative), (Role::Middle, empty)]
            }
            Self::Dual { first, second, negative, .. } => {
                vec![(Role::Negative, negative), (Role::Middle, second), (Role::Positive, first)]
            }
        }
    }

    /// For each list: whether it has to be evaluated.
    pub(super) fn wanted(&self, with_negative: bool) -> Vec<bool> {
        match self {
            Self::Cfg { scale, .. } | Self::Frames { scale, .. } => vec![true, with_negative || !is_one(*scale)],
            Self::Basic(_) => vec![true],
            Self::PerpNeg { .. } | Self::Dual { nested: true, .. } => vec![true; 3],
            Self::Dual { scale_conds, scale_negative, .. } => {
                let negative = with_negative || !is_one(*scale_negative);
                vec![negative, negative || !is_one(*scale_conds), true]
            }
        }
    }

    /// Whether all numbers are numbers and there is something to draw.
    pub(super) fn check(&self) -> Result<(), SamplingError> {
        let scales: &[(&'static str, f64)] = match self {
            Self::Cfg { scale, rescale, .. } => &[("cfg", *scale), ("multiplier", rescale.unwrap_or(0.0))],
            Self::Frames { scale, least, .. } => &[("cfg", *scale), ("min_cfg", *least)],
            Self::Basic(_) => &[],
            Self::PerpNeg { scale, negative_scale, .. } => &[("cfg", *scale), ("neg_scale", *negative_scale)],
            Self::Dual { scale_conds, scale_negative, .. } => {
                &[("cfg_conds", *scale_conds), ("cfg_cond2_negative", *scale_negative)]
            }
        };
        for &(what, found) in scales {
            if !found.is_finite() {
                return Err(SamplingError::Number { what, found, expected: "a finite number" });
            }
        }
        for (role, list) in self.lists() {
            if list.entries.is_empty() {
                return Err(SamplingError::NoConditioning(role.name()));
            }
        }
        Ok(())
    }

    /// One denoised latent from the lists' predictions; those that weren't evaluated are `None`.
    pub(super) fn mix(
        &self,
        mixing: &mut Mixing<'_>,
        predictions: Vec<Option<Tensor<4>>>,
    ) -> Result<Option<Denoised>, SamplingError> {
        let (x, sigma) = (mixing.request.x, mixing.request.sigma);
        let mut predictions = predictions.into_iter();
        let mut next = || predictions.next().flatten();
        match self {
            Self::Basic(_) => {
                let Some(cond) = next() else { return Ok(None) };
                let cfg = CfgLists { cond: 0, uncond: None, scale: 1.0, changed_before: true };
                mixing.guide(cfg, CfgPair { cond, uncond: None }, |pair| pair.cond.clone()).map(Some)
            }
            Self::Cfg { scale, rescale, .. } => {
                let (Some(cond), uncond) = (next(), next()) else { return Ok(None) };
                let cfg = CfgLists { cond: 0, uncond: Some(1), scale: *scale, changed_before: true };
                let mix = |pair: &CfgPair| match (&pair.uncond, rescale) {
                    (None, _) => pair.cond.clone(),
                    (Some(uncond), Some(multiplier)) => {
                        rescaled(x, sigma, pair.cond.clone(), uncond.clone(), *scale, *multiplier)
                    }
                    (Some(uncond), None) => towards(uncond, pair.cond.clone(), *scale),
                };
                mixing.guide(cfg, CfgPair { cond, uncond }, mix).map(Some)
            }
            Self::Frames { scale, least, course, .. } => {
                let (Some(cond), uncond) = (next(), next()) else { return Ok(None) };
                let cfg = CfgLists { cond: 0, uncond: Some(1), scale: *scale, changed_before: true };
                let mix = |pair: &CfgPair| {
                    let uncond = pair.uncond.clone().unwrap_or_else(|| pair.cond.zeros_like());
                    course.mixed(x, &uncond, &pair.cond, [*least as f32, *scale as f32])
                };
                mixing.guide(cfg, CfgPair { cond, uncond }, mix).map(Some)
            }
            Self::PerpNeg { scale, negative_scale, .. } => {
                let (Some(cond), Some(negative), Some(empty)) = (next(), next(), next()) else { return Ok(None) };
                let cfg = CfgLists { cond: 0, uncond: Some(1), scale: *scale, changed_before: true };
                let mix = |pair: &CfgPair| {
                    let negative = pair.uncond.clone().unwrap_or_else(|| empty.clone());
                    perpendicular(pair.cond.clone(), negative, &empty, *scale, *negative_scale)
                };
                mixing.guide(cfg, CfgPair { cond, uncond: Some(negative) }, mix).map(Some)
            }
            Self::Dual { .. } => {
                let (negative, middle) = (next(), next());
                let Some(positive) = next() else { return Ok(None) };
                self.mix_three(mixing, negative, middle, positive).map(Some)
            }
        }
    }

    /// Two conditionings and a negative one. Changes around guidance hold for the pair that guidance is made of.
    fn mix_three(
        &self,
        mixing: &mut Mixing<'_>,
        negative: Option<Tensor<4>>,
        middle: Option<Tensor<4>>,
        positive: Tensor<4>,
    ) -> Result<Denoised, SamplingError> {
        let Self::Dual { scale_conds, scale_negative, nested, .. } = self else {
            return Err(SamplingError::NoConditioning("positive"));
        };
        let guided_by = |scale: f64| {
            move |pair: &CfgPair| match &pair.uncond {
                Some(uncond) => towards(uncond, pair.cond.clone(), scale),
                None => pair.cond.clone(),
            }
        };
        let Some(middle) = middle else { return Ok(Denoised { guided: positive, uncond: negative }) };
        if *nested {
            let cfg = CfgLists { cond: 2, uncond: Some(1), scale: *scale_conds, changed_before: false };
            let pair = CfgPair { cond: positive, uncond: Some(middle) };
            let both = mixing.guide(cfg, pair, guided_by(*scale_conds))?.guided;
            let guided = match &negative {
                Some(negative) => towards(negative, both, *scale_negative),
                None => both,
            };
            return Ok(Denoised { guided, uncond: negative });
        }
        let cfg = CfgLists { cond: 1, uncond: Some(0), scale: *scale_negative, changed_before: false };
        let pair = CfgPair { cond: middle.clone(), uncond: negative.clone() };
        let base = mixing.guide(cfg, pair, guided_by(*scale_negative))?.guided;
        Ok(Denoised { guided: base + (positive - middle) * *scale_conds as f32, uncond: negative })
    }
}

/// What mixing needs beside predictions: whatever changes them, and how to get more.
pub(super) struct Mixing<'a> {
    pub(super) patches: Option<&'a ModelPatches>,
    pub(super) request: EvalRequest<'a>,
    pub(super) sampling: &'a ModelSampling,
    /// The conditions of each list.
    pub(super) lists: &'a [Vec<Prepared>],
    pub(super) record: Option<AttentionRecord>,
    pub(super) memory: &'a mut PatchMemory,
}

/// The lists that guidance goes between, and how far.
struct CfgLists {
    cond: usize,
    uncond: Option<usize>,
    scale: f64,
    /// Whether changes before the mixture hold.
    changed_before: bool,
}

impl Mixing<'_> {
    fn guide(
        &mut self,
        cfg: CfgLists,
        pair: CfgPair,
        mix: impl Fn(&CfgPair) -> Tensor<4>,
    ) -> Result<Denoised, SamplingError> {
        let Some(patches) = self.patches else {
            return Ok(Denoised { guided: mix(&pair), uncond: pair.uncond });
        };
        let EvalRequest { x, sigma, .. } = self.request;
        let scale = cfg.scale as f32;
        let pair = if cfg.changed_before { patches.before(x, sigma, scale, pair, self.memory)? } else { pair };
        let cx = GuidanceContext {
            request: self.request,
            sampling: self.sampling,
            scale,
            cond_list: &self.lists[cfg.cond],
            uncond_list: cfg.uncond.map(|list| self.lists[list].as_slice()),
        };
        let guided = patches.after(&cx, &pair, self.record.as_ref(), mix(&pair))?;
        Ok(Denoised { guided, uncond: pair.uncond })
    }
}

/// Python's `math.isclose(scale, 1.0)`.
fn is_one(scale: f64) -> bool {
    (scale - 1.0).abs() <= 1e-9 * scale.abs().max(1.0)
}

fn towards(from: &Tensor<4>, to: Tensor<4>, scale: f64) -> Tensor<4> {
    from.clone() + (to - from.clone()) * scale as f32
}

/// The positive direction, less the part of the negative one that is at right angles to it.
fn perpendicular(
    positive: Tensor<4>,
    negative: Tensor<4>,
    empty: &Tensor<4>,
    scale: f64,
    negative_scale: f64,
) -> Tensor<4> {
    let (positive, negative) = (positive - empty.clone(), negative - empty.clone());
    let along = (negative.clone() * positive.clone()).sum() / (positive.clone() * positive.clone()).sum();
    let across = negative - positive.clone() * along.reshape([1, 1, 1, 1]);
    empty.clone() + (positive - across * negative_scale as f32) * scale as f32
}

/// Lin et al. 2023, section 3.4: guidance in velocities, its spread drawn back to the positive's.
fn rescaled(x: &Tensor<4>, sigma: f32, cond: Tensor<4>, uncond: Tensor<4>, scale: f64, multiplier: f64) -> Tensor<4> {
    let scaled = x.clone().div_scalar(sigma * sigma + 1.0);
    let root = (sigma * sigma + 1.0).sqrt();
    let velocity = |d: Tensor<4>| ((scaled.clone() - d) * root).div_scalar(sigma);
    let cond = velocity(cond);
    let guided = towards(&velocity(uncond), cond.clone(), scale);
    let drawn = guided.clone() * (spread(cond) / spread(guided.clone()));
    let multiplier = multiplier as f32;
    let mixed = drawn * multiplier + guided * (1.0 - multiplier);
    scaled - (mixed * sigma).div_scalar(root)
}

/// Standard deviation over channels and places, `[B, 1, 1, 1]`.
fn spread(x: Tensor<4>) -> Tensor<4> {
    let [batch, c, h, w] = x.dims();
    x.reshape([batch, c * h * w]).var(1).sqrt().reshape([batch, 1, 1, 1])
}
