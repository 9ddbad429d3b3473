//! Guiders: a model with conditions and the rule that mixes their predictions.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::sampling::Guidance;

use crate::payload::{Conditioning, Guider, Model};

/// Follows one condition and nothing else.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/guiders", module = "comfy_extras.nodes_custom_sampler")]
pub struct BasicGuider {
    /// The model.
    #[input(carries)]
    model: Model,
    /// What to draw.
    #[input(carries)]
    conditioning: Conditioning,
}

impl Execute for BasicGuider {
    type Output = Guider;

    fn execute(self, _: &mut Cx) -> Result<Guider, NodeError> {
        let guidance = Guidance::Basic((*self.conditioning.0).clone());
        Ok(Guider { model: self.model, guidance: Arc::new(guidance) })
    }
}

/// Follows one condition and moves away from another.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/guiders", module = "comfy_extras.nodes_custom_sampler")]
pub struct CFGGuider {
    /// The model.
    #[input(carries)]
    model: Model,
    /// What to draw.
    #[input(carries)]
    positive: Conditioning,
    /// What to move away from.
    #[input(carries)]
    negative: Conditioning,
    /// How far.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
}

impl Execute for CFGGuider {
    type Output = Guider;

    fn execute(self, _: &mut Cx) -> Result<Guider, NodeError> {
        let guidance = self.model.guidance(&self.positive, &self.negative, self.cfg);
        Ok(Guider { model: self.model, guidance: Arc::new(guidance) })
    }
}

/// Follows two conditions of different weight and moves away from a third.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/guiders", module = "comfy_extras.nodes_custom_sampler")]
pub struct DualCFGGuider {
    /// The model.
    #[input(carries)]
    model: Model,
    /// What to draw.
    #[input(carries)]
    cond1: Conditioning,
    /// What to draw it from.
    #[input(carries)]
    cond2: Conditioning,
    /// What to move away from.
    #[input(carries)]
    negative: Conditioning,
    /// How far from the second condition to the first.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg_conds: f64,
    /// How far from the negative to the second condition.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg_cond2_negative: f64,
    /// Nested: the first two are mixed before the negative comes in.
    #[input(options = ["regular", "nested"], option("multiselect" = false))]
    style: String,
}

impl Execute for DualCFGGuider {
    type Output = Guider;

    fn execute(self, _: &mut Cx) -> Result<Guider, NodeError> {
        let guidance = Guidance::Dual {
            first: (*self.cond1.0).clone(),
            second: (*self.cond2.0).clone(),
            negative: (*self.negative.0).clone(),
            scale_conds: self.cfg_conds,
            scale_negative: self.cfg_cond2_negative,
            nested: self.style == "nested",
        };
        Ok(Guider { model: self.model, guidance: Arc::new(guidance) })
    }
}

/// Follows one condition and takes away of another only what is at right angles to it.
#[derive(Node)]
#[node(unnamed, category = "_for_testing", module = "comfy_extras.nodes_perpneg", experimental)]
pub struct PerpNegGuider {
    /// The model.
    #[input(carries)]
    model: Model,
    /// What to draw.
    #[input(carries)]
    positive: Conditioning,
    /// What to move away from.
    #[input(carries)]
    negative: Conditioning,
    /// An empty prompt, from which both are measured.
    #[input(carries)]
    empty_conditioning: Conditioning,
    /// How far from the empty prompt.
    #[input(default = 8.0, min = 0.0, max = 100.0, step = 0.1, round = 0.01)]
    cfg: f64,
    /// The negative's share.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01)]
    neg_scale: f64,
}

impl Execute for PerpNegGuider {
    type Output = Guider;

    fn execute(self, _: &mut Cx) -> Result<Guider, NodeError> {
        let guidance = Guidance::PerpNeg {
            positive: (*self.positive.0).clone(),
            negative: (*self.negative.0).clone(),
            empty: (*self.empty_conditioning.0).clone(),
            scale: self.cfg,
            negative_scale: self.neg_scale,
        };
        Ok(Guider { model: self.model, guidance: Arc::new(guidance) })
    }
}
