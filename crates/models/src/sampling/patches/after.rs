//! Changes of the mixed prediction, some of which evaluate the network once more.

use burn::tensor::Tensor;

use super::apply::{CfgPair, GuidanceContext, length, per_item};
use super::{GuidancePatch, ModelPatches, blur};
use crate::nets::hooks::{AttentionRecord, MiddleAttention};
use crate::sampler::SamplingError;
use crate::sampling::evaluate::{EvalRequest, evaluate};
use crate::sampling::prepare::Prepared;
use crate::schedule::Prediction;

impl ModelPatches {
    /// The mixture of `pair` as the sampler is to see it.
    pub(in crate::sampling) fn after(
        &self,
        cx: &GuidanceContext<'_>,
        pair: &CfgPair,
        record: Option<&AttentionRecord>,
        mut guided: Tensor<4>,
    ) -> Result<Tensor<4>, SamplingError> {
        // It takes the mixture's place, whatever else changes the outcome; of several the last one does.
        if let Some(GuidancePatch::Renorm { trunc, factor }) =
            self.guidance.iter().rfind(|patch| matches!(patch, GuidancePatch::Renorm { .. }))
        {
            guided = renormed(cx, pair, *trunc, *factor);
        }
        for patch in &self.guidance {
            guided = match patch {
                GuidancePatch::Perturbed { scale } if *scale != 0.0 => {
                    let perturbed = cx.ask(cx.cond_list, cx.request.x, MiddleAttention::Itself)?;
                    guided + (pair.cond.clone() - perturbed) * *scale
                }
                GuidancePatch::SelfAttention { scale, blur } => {
                    self_attention(cx, pair, record, guided, *scale, *blur)?
                }
                GuidancePatch::Direction => directed(pair, guided, cx.scale),
                GuidancePatch::ZeroStar => zero_star(cx.request.x, pair, guided, cx.scale),
                GuidancePatch::Norm { strength } => {
                    let lengths = |x: &Tensor<4>| x.clone().square().sum_dim(1).sqrt();
                    let factor = lengths(&pair.cond) / (lengths(&guided) + 1e-8);
                    guided * factor.clamp(0.0, 1.0) * *strength
                }
                GuidancePatch::Epsilon { factor } => {
                    let x = cx.request.x;
                    x.clone() - (x.clone() - guided).div_scalar(if *factor == 0.0 { 1e-9 } else { *factor })
                }
                GuidancePatch::BlockSkips(skips) => skips.apply(cx, pair, guided)?,
                GuidancePatch::Temporal { k, sigma } => temporal(cx, guided, *k, *sigma),
                _ => guided,
            };
        }
        Ok(guided)
    }
}

/// Guidance of which each item is at most so many times as long as the positive prediction.
fn renormed(cx: &GuidanceContext<'_>, pair: &CfgPair, trunc: f32, factor: f32) -> Tensor<4> {
    if cx.request.sigma >= trunc {
        return pair.cond.clone();
    }
    let uncond = pair.uncond_or_zeros();
    let guided = uncond.clone() + (pair.cond.clone() - uncond) * cx.scale;
    if factor <= 0.0 {
        return guided;
    }
    let share = length(&pair.cond) * factor / length(&guided);
    // An empty prediction has no length to keep to; it stays as it is.
    let share = share.clone().mask_fill(share.is_nan(), 1.0);
    guided * share.clamp_max(1.0)
}

impl GuidanceContext<'_> {
    /// One more prediction under conditions.
    fn ask(&self, list: &[Prepared], x: &Tensor<4>, middle: MiddleAttention<'_>) -> Result<Tensor<4>, SamplingError> {
        let request = EvalRequest { x, middle, ..self.request };
        let mut answers = evaluate(&request, &[Some(list)])?;
        answers.pop().flatten().ok_or(SamplingError::NoConditioning("positive"))
    }
}

/// Away from the prediction over a latent that is blurred where the negative attends most.
fn self_attention(
    cx: &GuidanceContext<'_>,
    pair: &CfgPair,
    record: Option<&AttentionRecord>,
    guided: Tensor<4>,
    scale: f32,
    reach: f32,
) -> Result<Tensor<4>, SamplingError> {
    let [_, _, height, width] = guided.dims();
    // Too small for the blur's margin.
    if height.min(width) <= blur::MARGIN {
        return Ok(guided);
    }
    let missing =
        SamplingError::Missing { which: "negative", what: "prediction", hint: "SelfAttentionGuidance needs one" };
    let (Some(list), Some(uncond), Some(record)) = (cx.uncond_list, &pair.uncond, record) else {
        return Err(missing);
    };
    let degraded = blur::where_looked_at(uncond, record, reach)?;
    let x = degraded.clone() + cx.request.x.clone() - uncond.clone();
    let answer = cx.ask(list, &x, MiddleAttention::Plain)?;
    Ok(guided + (degraded - answer) * scale)
}

/// The guided prediction or the scaled positive one, the more of the latter the less it is like the scaled negative.
fn directed(pair: &CfgPair, guided: Tensor<4>, scale: f32) -> Tensor<4> {
    const EPS: f32 = 1e-8;
    let leap = pair.cond.clone() * scale;
    let root = |x: Tensor<4>| x.clone().abs().sqrt() * x.sign();
    let (a, b) = (root(pair.uncond_or_zeros() * scale), root((leap.clone() + guided.clone()) * 0.5));
    let norm = |x: &Tensor<4>| x.clone().square().sum_dim(1).sqrt().clamp_min(EPS);
    let likeness = (a.clone() * b.clone()).sum_dim(1) / (norm(&a) * norm(&b));
    let share = (likeness.mean().reshape([1, 1, 1, 1]) + 1.0) * 2.0;
    (guided * share.clone() + leap * (share.neg() + 4.0)) * 0.25
}

fn zero_star(x: &Tensor<4>, pair: &CfgPair, guided: Tensor<4>, scale: f32) -> Tensor<4> {
    let uncond = pair.uncond_or_zeros();
    let (positive, negative) = (x.clone() - pair.cond.clone(), x.clone() - uncond.clone());
    let fit = per_item(positive * negative.clone()) / (length(&negative).square() + 1e-8);
    guided + uncond.clone() * (fit.clone() - 1.0) + uncond * (fit.neg() + 1.0) * scale
}

fn temporal(cx: &GuidanceContext<'_>, guided: Tensor<4>, k: f32, reach: f32) -> Tensor<4> {
    let sigma = cx.request.sigma;
    if k == 1.0 || sigma == 0.0 {
        return guided;
    }
    let half = cx.sampling.half_log_snr(sigma);
    let snr = (2.0 * half).exp();
    if snr == 0.0 {
        return guided;
    }
    let variance = reach * reach;
    let ratio = if snr.is_infinite() { k } else { (snr * variance + 1.0) / (snr * variance / k + 1.0) };
    let alpha = match cx.sampling.prediction {
        Prediction::Flow => sigma * half.exp(),
        _ => 1.0,
    };
    let start = cx.request.x.clone().div_scalar(alpha);
    start.clone() + (guided - start) * ratio
}
