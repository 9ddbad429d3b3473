//! Guidance away from what a network predicts without some of its blocks.
//!
//! Source: Hyung et al. 2024 (arXiv 2411.18664), section 3; Stability AI's workflow for Stable Diffusion 3.5 medium.

use burn::tensor::Tensor;

use super::apply::{CfgPair, GuidanceContext};
use super::skips::BlockSkips;
use super::{GuidancePatch, ModelPatches};
use crate::nets::hooks::SkippedBlocks;
use crate::sampler::SamplingError;
use crate::sampling::evaluate::{EvalRequest, evaluate};
use crate::sampling::prepare::Prepared;

impl BlockSkips {
    /// The guided prediction, moved.
    pub(super) fn apply(
        &self,
        cx: &GuidanceContext<'_>,
        pair: &CfgPair,
        guided: Tensor<4>,
    ) -> Result<Tensor<4>, SamplingError> {
        if self.scale <= 0.0 || self.blocks.is_empty() || !self.range.holds_at(cx.request.sigma) {
            return Ok(guided);
        }
        let request = EvalRequest { skipped: Some(&self.blocks), ..cx.request };
        let mut predictions = evaluate(&request, &[Some(cx.cond_list)])?;
        let less = predictions.pop().flatten().ok_or(SamplingError::NoConditioning("positive"))?;
        let guided = guided + (pair.cond.clone() - less) * self.scale;
        if self.rescale == 0.0 {
            return Ok(guided);
        }
        let spread = |x: &Tensor<4>| {
            let count = x.dims().iter().product::<usize>();
            x.clone().reshape([count]).var(0).sqrt().reshape([1, 1, 1, 1])
        };
        let factor = spread(&pair.cond) / spread(&guided) * self.rescale + (1.0 - self.rescale);
        Ok(guided * factor)
    }
}

impl ModelPatches {
    /// The blocks that negative predictions leave out at a level, if they leave out any.
    pub(in crate::sampling) fn skipped_by_negatives(&self, sigma: f32) -> Option<&SkippedBlocks> {
        // The last one takes the place of those before it.
        let last = self.guidance.iter().rev().find_map(|patch| match patch {
            GuidancePatch::NegativeSkips { blocks, range } => Some((blocks, range)),
            _ => None,
        });
        last.filter(|(blocks, range)| !blocks.is_empty() && range.holds_at(sigma)).map(|(blocks, _)| blocks)
    }
}

/// Every list's prediction, those of negatives without `skipped`.
pub(in crate::sampling) fn evaluate_apart(
    request: &EvalRequest<'_>,
    lists: &[Option<&[Prepared]>],
    skipped: &SkippedBlocks,
) -> Result<Vec<Option<Tensor<4>>>, SamplingError> {
    let is_negative = |list: &&[Prepared]| list.first().is_some_and(|entry| entry.inputs.negative);
    let of = |negative: bool| lists.iter().map(move |list| list.filter(|list| is_negative(list) == negative));
    let plain = evaluate(request, &of(false).collect::<Vec<_>>())?;
    let request = EvalRequest { skipped: Some(skipped), ..*request };
    let negatives = evaluate(&request, &of(true).collect::<Vec<_>>())?;
    Ok(plain.into_iter().zip(negatives).map(|(plain, negative)| plain.or(negative)).collect())
}
