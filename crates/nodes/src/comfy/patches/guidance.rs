//! Changes around guidance.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::sampling::GuidancePatch;

use crate::comfy::latent::operation::LatentOperation;
use crate::payload::{Conditioning, Model, PerpNegative};

fn guided(model: Model, patch: GuidancePatch) -> Model {
    model.patched(|patches| patches.guidance.push(patch))
}

/// Moves away from what the network draws when its middle attends to nothing but each place itself.
#[derive(Node)]
#[node(unnamed, category = "model_patches/unet", module = "comfy_extras.nodes_pag")]
pub struct PerturbedAttentionGuidance {
    /// The model.
    model: Model,
    /// How far.
    #[input(default = 3.0, min = 0.0, max = 100.0, step = 0.01, round = 0.01)]
    scale: f32,
}

impl Execute for PerturbedAttentionGuidance {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, scale } = self;
        Ok(guided(model, GuidancePatch::Perturbed { scale }))
    }
}

/// Moves away from what the network draws over an image that is blurred where it looks most.
#[derive(Node)]
#[node(
    display_name = "Self-Attention Guidance",
    category = "_for_testing",
    module = "comfy_extras.nodes_sag",
    experimental
)]
pub struct SelfAttentionGuidance {
    /// The model.
    model: Model,
    /// How far.
    #[input(default = 0.5, min = -2.0, max = 5.0, step = 0.01)]
    scale: f32,
    /// How far the blur reaches, in latent cells.
    #[input(default = 2.0, min = 0.0, max = 10.0, step = 0.1)]
    blur_sigma: f32,
}

impl Execute for SelfAttentionGuidance {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, scale, blur_sigma: blur } = self;
        Ok(guided(model, GuidancePatch::SelfAttention { scale, blur }))
    }
}

/// Guides more by the direction of the positive prompt than by its difference from the negative one.
#[derive(Node)]
#[node(
    display_name = "Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
    category = "_for_testing",
    module = "comfy_extras.nodes_mahiro",
    outputs("patched_model"),
    experimental
)]
pub struct Mahiro {
    /// The model.
    model: Model,
}

impl Execute for Mahiro {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(guided(self.model, GuidancePatch::Direction))
    }
}

/// Keeps guided cells from growing longer than what the positive prompt alone predicts.
#[derive(Node)]
#[node(
    unnamed,
    category = "advanced/guidance",
    module = "comfy_extras.nodes_cfg",
    outputs("patched_model"),
    experimental
)]
pub struct CFGNorm {
    /// The model.
    model: Model,
    /// A factor on the result.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01)]
    strength: f32,
}

impl Execute for CFGNorm {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, strength } = self;
        Ok(guided(model, GuidancePatch::Norm { strength }))
    }
}

/// Scales the negative prediction to fit the positive one best (CFG-Zero*).
#[derive(Node)]
#[node(unnamed, category = "advanced/guidance", module = "comfy_extras.nodes_cfg", outputs("patched_model"))]
pub struct CFGZeroStar {
    /// The model.
    model: Model,
}

impl Execute for CFGZeroStar {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(guided(self.model, GuidancePatch::ZeroStar))
    }
}

/// Keeps of the negative prediction what lies along the positive one (TCFG).
#[derive(Node)]
#[node(
    display_name = "Tangential Damping CFG",
    category = "advanced/guidance",
    module = "comfy_extras.nodes_tcfg",
    outputs("patched_model")
)]
pub struct TCFG {
    /// The model.
    model: Model,
}

impl Execute for TCFG {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(guided(self.model, GuidancePatch::Tangential))
    }
}

/// Guides with less of what lies along the prediction, a limit, and momentum (APG).
#[derive(Node)]
#[node(
    display_name = "Adaptive Projected Guidance",
    category = "sampling/custom_sampling",
    module = "comfy_extras.nodes_apg"
)]
pub struct APG {
    /// The model.
    model: Model,
    /// How much of the guidance along the prediction stays; 1 leaves it alone.
    #[input(default = 1.0, min = -10.0, max = 10.0, step = 0.01)]
    eta: f32,
    /// The longest guidance; 0 for no limit.
    #[input(default = 5.0, min = 0.0, max = 50.0, step = 0.1)]
    norm_threshold: f32,
    /// How much of earlier steps is added; 0 for nothing.
    #[input(default = 0.0, min = -5.0, max = 1.0, step = 0.01)]
    momentum: f32,
}

impl Execute for APG {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, eta, norm_threshold: norm, momentum } = self;
        Ok(guided(model, GuidancePatch::Projected { eta, norm, momentum }))
    }
}

/// Scales low and high frequencies of the guidance apart (FreSca).
#[derive(Node)]
#[node(category = "_for_testing", module = "comfy_extras.nodes_fresca", experimental)]
pub struct FreSca {
    /// The model.
    model: Model,
    /// Factor on the low frequencies.
    #[input(default = 1.0, min = 0, max = 10, step = 0.01)]
    scale_low: f32,
    /// Factor on the high frequencies.
    #[input(default = 1.25, min = 0, max = 10, step = 0.01)]
    scale_high: f32,
    /// How many frequencies count as low.
    #[input(default = 20, min = 1, max = 10000, step = 1)]
    freq_cutoff: usize,
}

impl Execute for FreSca {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, scale_low: low, scale_high: high, freq_cutoff: cutoff } = self;
        Ok(guided(model, GuidancePatch::Frequencies { low, high, cutoff }))
    }
}

/// Keeps guidance from growing longer than the positive prediction, and leaves it out at high noise.
#[derive(Node)]
#[node(unnamed, category = "advanced/model", module = "comfy_extras.nodes_lumina2")]
pub struct RenormCFG {
    /// The model.
    model: Model,
    /// From this noise level up the negative prompt is left out.
    #[input(default = 100, min = 0.0, max = 100.0, step = 0.01)]
    cfg_trunc: f32,
    /// How many times as long as the positive prediction guidance may be; 0 for no limit.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01)]
    renorm_cfg: f32,
}

impl Execute for RenormCFG {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, cfg_trunc: trunc, renorm_cfg: factor } = self;
        Ok(guided(model, GuidancePatch::Renorm { trunc, factor }))
    }
}

/// Divides the predicted noise by a number, against errors that add up over a run.
#[derive(Node)]
#[node(unnamed, class = "Epsilon Scaling", category = "model_patches/unet", module = "comfy_extras.nodes_eps")]
pub struct EpsilonScaling {
    /// The model.
    model: Model,
    /// The number.
    #[input(default = 1.005, min = 0.5, max = 1.5, step = 0.001, display = "number")]
    scaling_factor: f32,
}

impl Execute for EpsilonScaling {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, scaling_factor: factor } = self;
        Ok(guided(model, GuidancePatch::Epsilon { factor }))
    }
}

/// Rescales the predicted noise more the less there is, for more or less detail.
#[derive(Node)]
#[node(
    display_name = "TSR - Temporal Score Rescaling",
    category = "model_patches/unet",
    module = "comfy_extras.nodes_eps",
    outputs("patched_model")
)]
pub struct TemporalScoreRescaling {
    /// The model.
    model: Model,
    /// Lower gives more detail, higher smoother images; 1 changes nothing.
    #[input(default = 0.95, min = 0.01, max = 100.0, step = 0.001, display = "number")]
    tsr_k: f32,
    /// Larger takes effect earlier.
    #[input(default = 1.0, min = 0.01, max = 100.0, step = 0.001, display = "number")]
    tsr_sigma: f32,
}

impl Execute for TemporalScoreRescaling {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, tsr_k: k, tsr_sigma: sigma } = self;
        Ok(guided(model, GuidancePatch::Temporal { k, sigma }))
    }
}

/// Applies a change of latents to the guidance of every step.
#[derive(Node)]
#[node(unnamed, category = "latent/advanced/operations", module = "comfy_extras.nodes_latent", experimental)]
pub struct LatentApplyOperationCFG {
    /// The model.
    model: Model,
    /// The change.
    operation: LatentOperation,
}

impl Execute for LatentApplyOperationCFG {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, operation } = self;
        Ok(guided(model, GuidancePatch::Operation(Arc::new(operation))))
    }
}

/// Lets a run free each masked place at the step that the mask's value names.
#[derive(Node)]
#[node(
    display_name = "Differential Diffusion",
    category = "_for_testing",
    module = "comfy_extras.nodes_differential_diffusion",
    experimental
)]
pub struct DifferentialDiffusion {
    /// The model.
    model: Model,
    /// How much of it; the rest keeps the mask as it is.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    strength: Option<f64>,
}

impl Execute for DifferentialDiffusion {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let strength = self.strength.unwrap_or(1.0);
        Ok(self.model.patched(|patches| patches.differential = Some(strength)))
    }
}

/// Takes away from the positive only what of the negative is at right angles to it. PerpNegGuider does the same.
#[derive(Node)]
#[node(
    display_name = "Perp-Neg (DEPRECATED by PerpNegGuider)",
    category = "_for_testing",
    module = "comfy_extras.nodes_perpneg",
    experimental,
    deprecated
)]
pub struct PerpNeg {
    /// The model.
    model: Model,
    /// An empty prompt, from which both are measured.
    empty_conditioning: Conditioning,
    /// The negative's share.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01)]
    neg_scale: f64,
}

impl Execute for PerpNeg {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let perp_negative = PerpNegative { empty: self.empty_conditioning, scale: self.neg_scale };
        Ok(Model { perp_negative: Some(perp_negative), rescale_cfg: None, frame_scale: None, ..self.model })
    }
}
