//! Changes of the two predictions before they are mixed.

use burn::tensor::Tensor;

use super::apply::{CfgPair, PatchMemory, length, per_item};
use super::{GuidancePatch, ModelPatches};
use crate::ops::frequency;
use crate::sampler::SamplingError;

impl ModelPatches {
    /// The predictions as guidance is to mix them at scale `scale`.
    pub(in crate::sampling) fn before(
        &self,
        x: &Tensor<4>,
        sigma: f32,
        scale: f32,
        mut pair: CfgPair,
        memory: &mut PatchMemory,
    ) -> Result<CfgPair, SamplingError> {
        if memory.last_sigma.is_some_and(|last| sigma > last) {
            memory.sums.clear();
        }
        memory.last_sigma = Some(sigma);
        for (place, patch) in self.guidance.iter().enumerate() {
            pair = match (patch, pair.uncond.clone()) {
                (GuidancePatch::Operation(change), Some(uncond)) => {
                    let guidance = change.apply(pair.cond - uncond.clone())?;
                    CfgPair { cond: guidance + uncond, ..pair }
                }
                (GuidancePatch::Operation(change), None) => CfgPair { cond: change.apply(pair.cond)?, ..pair },
                (GuidancePatch::Tangential, Some(uncond)) => {
                    let damped = tangential(x.clone() - pair.cond.clone(), x.clone() - uncond)?;
                    CfgPair { uncond: Some(x.clone() - damped), ..pair }
                }
                (GuidancePatch::Frequencies { low, high, cutoff }, Some(uncond)) => {
                    let guidance = scaled_bands(pair.cond - uncond.clone(), *low, *high, *cutoff);
                    CfgPair { cond: guidance + uncond, ..pair }
                }
                (GuidancePatch::Projected { eta, norm, momentum }, uncond) => {
                    let uncond = uncond.unwrap_or_else(|| pair.cond.zeros_like());
                    let plain = pair.cond.clone() - uncond.clone();
                    let guidance = memory.carried(place, plain.clone(), *momentum);
                    let guidance = projected(shortened(guidance, *norm), &pair.cond, *eta);
                    CfgPair { cond: uncond + guidance + plain.div_scalar(scale), ..pair }
                }
                _ => pair,
            };
        }
        Ok(pair)
    }
}

impl PatchMemory {
    /// Guidance with what is left of the steps before.
    fn carried(&mut self, place: usize, guidance: Tensor<4>, momentum: f32) -> Tensor<4> {
        if momentum == 0.0 {
            return guidance;
        }
        let sum = match self.sums.remove(&place) {
            Some(before) => before * momentum + guidance,
            None => guidance,
        };
        self.sums.insert(place, sum.clone());
        sum
    }
}

/// Guidance no longer than `norm`.
fn shortened(guidance: Tensor<4>, norm: f32) -> Tensor<4> {
    if norm <= 0.0 {
        return guidance;
    }
    let factor = length(&guidance).recip() * norm;
    guidance * factor.clamp_max(1.0)
}

/// Guidance whose part along `cond` counts `eta` times.
fn projected(guidance: Tensor<4>, cond: &Tensor<4>, eta: f32) -> Tensor<4> {
    let direction = cond.clone() / length(cond).clamp_min(1e-12);
    let along = per_item(guidance.clone() * direction.clone()) * direction;
    guidance - along.clone() + along * eta
}

/// Low and high frequencies scaled apart.
fn scaled_bands(guidance: Tensor<4>, low: f32, high: f32, cutoff: usize) -> Tensor<4> {
    let [_, _, height, width] = guidance.dims();
    let band = frequency::band(&guidance, [height, width].map(|side| cutoff.min(side / 2)));
    guidance * high + band * (low - high)
}

/// The part of `uncond` along the first right singular vector of both scores, per batch item.
///
/// The vector is a mixture of the two scores, so the 2 x 2 matrix of their products is all that is needed: with `u` its
/// first eigenvector, the part of `uncond` is `u0 (u0 uncond + u1 cond)`.
fn tangential(cond: Tensor<4>, uncond: Tensor<4>) -> Result<Tensor<4>, SamplingError> {
    let batch = cond.dims()[0];
    let products = Tensor::cat(
        vec![
            per_item(uncond.clone().square()),
            per_item(uncond.clone() * cond.clone()),
            per_item(cond.clone().square()),
        ],
        1,
    );
    let products = products.try_to_vec_as::<f32>().map_err(|error| SamplingError::Read(error.to_string()))?;
    let (mut own, mut other) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
    for product in products.chunks_exact(3) {
        let [a, b, c] = [product[0], product[1], product[2]].map(f64::from);
        // Half the angle of the first eigenvector of [[a, b], [b, c]].
        let angle = 0.5 * (2.0 * b).atan2(a - c);
        own.push((angle.cos() * angle.cos()) as f32);
        other.push((angle.cos() * angle.sin()) as f32);
    }
    let factor =
        |values: Vec<f32>| Tensor::<1>::from_floats(values.as_slice(), &cond.device()).reshape([batch, 1, 1, 1]);
    Ok(uncond * factor(own) + cond.clone() * factor(other))
}
