//! Samplers as parts, with their options.
#![allow(non_camel_case_types, reason = "the classes have ComfyUI's names")]

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::Method;
use kiln_models::sampler::{Options, ProgressiveUpscale, SamplerKind};

use super::names::sampler_names;
use crate::payload::{Model, Sampler};

fn sampler(name: &str, options: Options) -> Result<Sampler, NodeError> {
    Ok(Sampler { kind: SamplerKind::named(name)?, options })
}

/// A sampler by its name.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct KSamplerSelect {
    /// The name.
    #[input(options = sampler_names(), option("multiselect" = false))]
    sampler_name: String,
}

impl Execute for KSamplerSelect {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        sampler(&self.sampler_name, Options::default())
    }
}

/// Euler's method with noise put back after every step.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerEulerAncestral {
    /// How much of the noise is put back.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on that noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
}

impl Execute for SamplerEulerAncestral {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise } = self;
        sampler("euler_ancestral", Options { eta, s_noise, ..Options::default() })
    }
}

/// Euler's method with noise put back, for guidance that also looks at the negative alone (CFG++).
#[derive(Node)]
#[node(
    display_name = "SamplerEulerAncestralCFG++",
    category = "sampling/custom_sampling/samplers",
    module = "comfy_extras.nodes_custom_sampler"
)]
pub struct SamplerEulerAncestralCFGPP {
    /// How much of the noise is put back.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on that noise.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01, round = false)]
    s_noise: f32,
}

impl Execute for SamplerEulerAncestralCFGPP {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise } = self;
        sampler("euler_ancestral_cfg_pp", Options { eta, s_noise, ..Options::default() })
    }
}

/// A linear multistep method.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerLMS {
    /// How many earlier steps it looks at.
    #[input(default = 4, min = 1, max = 100)]
    order: usize,
}

impl Execute for SamplerLMS {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        sampler("lms", Options { order: self.order, ..Options::default() })
    }
}

/// DPM-Solver++ of the second order in one step, with noise put back.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerDPMPP_2S_Ancestral {
    /// How much of the noise is put back.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on that noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
}

impl Execute for SamplerDPMPP_2S_Ancestral {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise } = self;
        sampler("dpmpp_2s_ancestral", Options { eta, s_noise, ..Options::default() })
    }
}

/// DPM-Solver++ for the stochastic equation, with one evaluation between.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerDPMPP_SDE {
    /// How stochastic it is.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on the noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
    /// Where between the two levels it evaluates.
    #[input(default = 0.5, min = 0.0, max = 100.0, step = 0.01, round = false)]
    r: f32,
    /// Kiln always draws noise as the CPU does, so that images are the same everywhere.
    #[allow(dead_code, reason = "noise is the same on every device")]
    #[input(options = ["gpu", "cpu"], option("multiselect" = false))]
    noise_device: String,
}

impl Execute for SamplerDPMPP_SDE {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise, r, .. } = self;
        sampler("dpmpp_sde", Options { eta, s_noise, r, ..Options::default() })
    }
}

/// DPM-Solver++ for the stochastic equation, of the second order over two steps.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerDPMPP_2M_SDE {
    /// The form of its correction.
    #[input(options = ["midpoint", "heun"], option("multiselect" = false))]
    solver_type: String,
    /// How stochastic it is.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on the noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
    /// Kiln always draws noise as the CPU does, so that images are the same everywhere.
    #[allow(dead_code, reason = "noise is the same on every device")]
    #[input(options = ["gpu", "cpu"], option("multiselect" = false))]
    noise_device: String,
}

impl Execute for SamplerDPMPP_2M_SDE {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise, solver_type, .. } = self;
        let name = if solver_type == "heun" { "dpmpp_2m_sde_heun" } else { "dpmpp_2m_sde" };
        sampler(name, Options { eta, s_noise, ..Options::default() })
    }
}

/// DPM-Solver++ for the stochastic equation, of the third order over three steps.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerDPMPP_3M_SDE {
    /// How stochastic it is.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on the noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
    /// Kiln always draws noise as the CPU does, so that images are the same everywhere.
    #[allow(dead_code, reason = "noise is the same on every device")]
    #[input(options = ["gpu", "cpu"], option("multiselect" = false))]
    noise_device: String,
}

impl Execute for SamplerDPMPP_3M_SDE {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { eta, s_noise, .. } = self;
        sampler("dpmpp_3m_sde", Options { eta, s_noise, ..Options::default() })
    }
}

/// DPM-Solver that chooses its steps by an estimate of its error.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerDPMAdaptative {
    /// The order. Kiln has the third.
    #[input(default = 3, min = 2, max = 3)]
    order: usize,
    /// Relative tolerance.
    #[input(default = 0.05, min = 0.0, max = 100.0, step = 0.01, round = false)]
    rtol: f32,
    /// Absolute tolerance.
    #[input(default = 0.0078, min = 0.0, max = 100.0, step = 0.01, round = false)]
    atol: f32,
    /// The first step.
    #[input(default = 0.05, min = 0.0, max = 100.0, step = 0.01, round = false)]
    h_init: f32,
    /// Proportional part of the step control. Kiln has 0.
    #[input(default = 0.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    pcoeff: f32,
    /// Integral part of the step control. Kiln has 1.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    icoeff: f32,
    /// Differential part of the step control. Kiln has 0.
    #[input(default = 0.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    dcoeff: f32,
    /// Error of a step that is still accepted.
    #[input(default = 0.81, min = 0.0, max = 100.0, step = 0.01, round = false)]
    accept_safety: f32,
    /// How much noise is put back.
    #[input(default = 0.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on that noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
}

impl Execute for SamplerDPMAdaptative {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { order, rtol, atol, h_init, pcoeff, icoeff, dcoeff, accept_safety, eta, s_noise } = self;
        if order != 3 || (pcoeff, icoeff, dcoeff, eta) != (0.0, 1.0, 0.0, 0.0) {
            return Err(NodeError::new(
                "only order 3, pcoeff 0, icoeff 1, dcoeff 0 and eta 0 are supported; the other numbers are free",
            ));
        }
        let options = Options { rtol, atol, h_init, accept_safety, eta, s_noise, ..Options::default() };
        sampler("dpm_adaptive", options)
    }
}

/// Extended reverse-time SDE.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerER_SDE {
    /// The paper's scaling of noise, a reverse-time SDE's, or none.
    #[input(options = ["ER-SDE", "Reverse-time SDE", "ODE"], option("multiselect" = false))]
    solver_type: String,
    /// The highest order.
    #[input(default = 3, min = 1, max = 3)]
    max_stage: usize,
    /// How stochastic a reverse-time SDE is.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    eta: f32,
    /// A factor on the noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
}

impl Execute for SamplerER_SDE {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let Self { solver_type, max_stage, eta, s_noise } = self;
        let (reverse_time, s_noise) = match (solver_type.as_str(), eta) {
            ("ER-SDE", _) => (None, s_noise),
            ("ODE", _) | (_, 0.0) => (Some(0.0), 0.0),
            _ => (Some(eta), s_noise),
        };
        sampler("er_sde", Options { max_stage, s_noise, reverse_time, ..Options::default() })
    }
}

/// Stochastic Adams predictor and corrector.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_custom_sampler")]
pub struct SamplerSASolver {
    /// The model. The run's own schedule says where the noisy part lies.
    #[allow(dead_code, reason = "the run has a model")]
    model: Model,
    /// How stochastic it is.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01, round = false)]
    eta: f32,
    /// Where in the run noise begins, 0 for its start.
    #[input(default = 0.2, min = 0.0, max = 1.0, step = 0.001)]
    sde_start_percent: f64,
    /// Where in the run it ends, 1 for its end.
    #[input(default = 0.8, min = 0.0, max = 1.0, step = 0.001)]
    sde_end_percent: f64,
    /// A factor on the noise.
    #[input(default = 1.0, min = 0.0, max = 100.0, step = 0.01, round = false)]
    s_noise: f32,
    /// The predictor's order.
    #[input(default = 3, min = 1, max = 6)]
    predictor_order: usize,
    /// The corrector's order; 0 for none.
    #[input(default = 4, min = 0, max = 6)]
    corrector_order: usize,
    /// Whether the corrected latent is evaluated again.
    use_pece: bool,
    /// Whether order 2 takes the short formulas.
    simple_order_2: bool,
}

impl Execute for SamplerSASolver {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let options = Options {
            eta: self.eta,
            s_noise: self.s_noise,
            orders: (self.predictor_order, self.corrector_order),
            noisy_range: (self.sde_start_percent, self.sde_end_percent),
            simple_order_2: self.simple_order_2,
            ..Options::default()
        };
        sampler(if self.use_pece { "sa_solver_pece" } else { "sa_solver" }, options)
    }
}

/// Euler's method for guidance that also looks at the negative alone (CFG++).
#[derive(Node)]
#[node(
    display_name = "SamplerEulerCFG++",
    category = "_for_testing",
    module = "comfy_extras.nodes_advanced_samplers",
    experimental
)]
pub struct SamplerEulerCFGpp {
    /// The form.
    #[input(options = ["regular", "alternative"], option("multiselect" = false))]
    version: String,
}

impl Execute for SamplerEulerCFGpp {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        match self.version.as_str() {
            "alternative" => Ok(Sampler { kind: SamplerKind::EULER_ALTERNATIVE_CFG_PP, options: Options::default() }),
            _ => sampler("euler_cfg_pp", Options::default()),
        }
    }
}

/// Latent consistency sampling on a latent that grows while it is sampled.
#[derive(Node)]
#[node(unnamed, category = "sampling/custom_sampling/samplers", module = "comfy_extras.nodes_advanced_samplers")]
pub struct SamplerLCMUpscale {
    /// How many times as large the latent is at the end, along each side.
    #[input(default = 1.0, min = 0.1, max = 20.0, step = 0.01)]
    scale_ratio: f64,
    /// In how many steps it grows; -1 for half of the run's.
    #[input(default = -1, min = -1, max = 1000, step = 1)]
    scale_steps: i64,
    /// How it is resized.
    #[input(options = ["bislerp", "nearest-exact", "bilinear", "area", "bicubic"], option("multiselect" = false))]
    upscale_method: String,
}

impl Execute for SamplerLCMUpscale {
    type Output = Sampler;

    fn execute(self, _: &mut Cx) -> Result<Sampler, NodeError> {
        let steps = usize::try_from(self.scale_steps).ok();
        let method = self.upscale_method.parse::<Method>()?;
        let upscale = ProgressiveUpscale { ratio: self.scale_ratio, steps, method };
        Ok(Sampler { kind: SamplerKind::LCM_UPSCALE, options: Options { upscale, ..Options::default() } })
    }
}
