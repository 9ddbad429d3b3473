//! What changes around guidance are given: the evaluation they belong to, the pair of predictions, and what they
//! remember from step to step.
//!
//! Knows how to ask for more predictions. Knows nothing of the single changes.

use std::collections::HashMap;

use burn::tensor::Tensor;

use crate::sampling::evaluate::EvalRequest;
use crate::sampling::prepare::Prepared;
use crate::schedule::ModelSampling;

/// One evaluation under guidance, as the changes see it.
pub(in crate::sampling) struct GuidanceContext<'a> {
    pub(in crate::sampling) request: EvalRequest<'a>,
    pub(in crate::sampling) sampling: &'a ModelSampling,
    /// How far from the negative to the positive.
    pub(in crate::sampling) scale: f32,
    /// The conditions behind the two predictions.
    pub(in crate::sampling) cond_list: &'a [Prepared],
    pub(in crate::sampling) uncond_list: Option<&'a [Prepared]>,
}

/// The two predictions that guidance is made of. A negative that isn't evaluated counts as zeros where it must count.
pub(in crate::sampling) struct CfgPair {
    pub(in crate::sampling) cond: Tensor<4>,
    pub(in crate::sampling) uncond: Option<Tensor<4>>,
}

impl CfgPair {
    pub(super) fn uncond_or_zeros(&self) -> Tensor<4> {
        self.uncond.clone().unwrap_or_else(|| self.cond.zeros_like())
    }
}

/// What changes remember from step to step of one run.
#[derive(Debug, Default)]
pub(in crate::sampling) struct PatchMemory {
    /// Guidance summed up so far, by the change's place in the list.
    pub(super) sums: HashMap<usize, Tensor<4>>,
    pub(super) last_sigma: Option<f32>,
}

/// Sum over everything but the batch, `[B, 1, 1, 1]`.
pub(super) fn per_item(x: Tensor<4>) -> Tensor<4> {
    let [batch, c, h, w] = x.dims();
    x.reshape([batch, c * h * w]).sum_dim(1).reshape([batch, 1, 1, 1])
}

/// Length over everything but the batch, `[B, 1, 1, 1]`.
pub(super) fn length(x: &Tensor<4>) -> Tensor<4> {
    per_item(x.clone().square()).sqrt()
}
