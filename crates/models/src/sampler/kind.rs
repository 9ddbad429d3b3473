//! The samplers by ComfyUI's names.

use burn::tensor::Tensor;

use super::error::SamplingError;
use super::{
    adaptive, ancestral, cfg_pp, context::SamplerContext, dpm_solver, dpmpp, dpmpp_sde, er_sde, lcm_upscale, multistep,
    residual, sa_solver, seeds, single, uni_pc,
};
use crate::suggest::nearest;

/// A sampler: the latent at the first level and the levels, to the latent at the last one.
pub type SamplerFn = fn(&mut SamplerContext<'_>, Tensor<4>, &[f32]) -> Result<Tensor<4>, SamplingError>;

/// A sampler of ComfyUI's list.
#[derive(Debug, Clone, Copy)]
pub struct SamplerKind {
    name: &'static str,
    run: SamplerFn,
}

macro_rules! table {
    ($($name:literal => $run:path,)*) => {
        /// Every sampler, in ComfyUI's order.
        const TABLE: &[SamplerKind] = &[$(SamplerKind { name: $name, run: $run },)*];
    };
}

table! {
    "euler" => single::euler,
    "euler_cfg_pp" => cfg_pp::euler,
    "euler_ancestral" => ancestral::euler,
    "euler_ancestral_cfg_pp" => cfg_pp::euler_ancestral,
    "heun" => single::heun,
    "heunpp2" => single::heunpp2,
    "dpm_2" => single::dpm_2,
    "dpm_2_ancestral" => ancestral::dpm_2,
    "lms" => multistep::lms,
    "dpm_fast" => dpm_solver::fast,
    "dpm_adaptive" => adaptive::adaptive,
    "dpmpp_2s_ancestral" => ancestral::dpmpp_2s,
    "dpmpp_2s_ancestral_cfg_pp" => cfg_pp::dpmpp_2s_ancestral,
    "dpmpp_sde" => dpmpp_sde::single,
    "dpmpp_sde_gpu" => dpmpp_sde::single,
    "dpmpp_2m" => dpmpp::two_m,
    "dpmpp_2m_cfg_pp" => cfg_pp::dpmpp_2m,
    "dpmpp_2m_sde" => dpmpp_sde::two_m,
    "dpmpp_2m_sde_gpu" => dpmpp_sde::two_m,
    "dpmpp_2m_sde_heun" => dpmpp_sde::two_m_heun,
    "dpmpp_2m_sde_heun_gpu" => dpmpp_sde::two_m_heun,
    "dpmpp_3m_sde" => dpmpp_sde::three_m,
    "dpmpp_3m_sde_gpu" => dpmpp_sde::three_m,
    "ddpm" => single::ddpm,
    "lcm" => single::lcm,
    "ipndm" => multistep::ipndm,
    "ipndm_v" => multistep::ipndm_v,
    "deis" => multistep::deis,
    "res_multistep" => residual::plain,
    "res_multistep_cfg_pp" => residual::plain_cfg_pp,
    "res_multistep_ancestral" => residual::ancestral,
    "res_multistep_ancestral_cfg_pp" => residual::ancestral_cfg_pp,
    "gradient_estimation" => multistep::gradient_estimation,
    "gradient_estimation_cfg_pp" => cfg_pp::gradient_estimation,
    "er_sde" => er_sde::er_sde,
    "seeds_2" => seeds::two,
    "seeds_3" => seeds::three,
    "sa_solver" => sa_solver::sa_solver,
    "sa_solver_pece" => sa_solver::sa_solver_pece,
    "ddim" => single::euler,
    "uni_pc" => uni_pc::bh1,
    "uni_pc_bh2" => uni_pc::bh2,
}

impl SamplerKind {
    /// Euler's method with the other form of CFG++. Only a node of its own gives it.
    pub const EULER_ALTERNATIVE_CFG_PP: Self =
        Self { name: "euler_alternative_cfg_pp", run: cfg_pp::euler_alternative };
    /// Latent consistency sampling on a latent that grows. Only a node of its own gives it.
    pub const LCM_UPSCALE: Self = Self { name: "lcm_upscale", run: lcm_upscale::lcm_upscale };

    /// All of them in ComfyUI's order.
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// The sampler of that name.
    ///
    /// # Errors
    /// [`SamplingError::UnknownSampler`] with the name most like it.
    pub fn named(name: &str) -> Result<Self, SamplingError> {
        TABLE.iter().find(|s| s.name == name).copied().ok_or_else(|| SamplingError::UnknownSampler {
            name: name.to_owned(),
            nearest: nearest(name, TABLE.iter().map(|s| s.name)),
        })
    }

    /// ComfyUI's name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Runs it. Fewer than two levels leave the latent as it is.
    ///
    /// # Errors
    /// Of the model and the callback.
    pub fn run(self, cx: &mut SamplerContext<'_>, x: Tensor<4>, sigmas: &[f32]) -> Result<Tensor<4>, SamplingError> {
        if sigmas.len() < 2 { Ok(x) } else { (self.run)(cx, x, sigmas) }
    }

    /// How often it evaluates the model in `steps` steps, the last of which ends without noise. `dpm_adaptive` chooses its
    /// steps itself: the answer is a guess.
    pub fn passes(self, steps: u32) -> u32 {
        // Evaluations of all steps but the last few, and how many steps have fewer.
        let (each, last) = match self.name {
            "heun"
            | "dpm_2"
            | "dpm_2_ancestral"
            | "dpmpp_2s_ancestral"
            | "dpmpp_2s_ancestral_cfg_pp"
            | "dpmpp_sde"
            | "dpmpp_sde_gpu"
            | "seeds_2"
            | "sa_solver_pece" => (2, 1),
            "heunpp2" => (3, 3),
            "seeds_3" => (3, 2),
            _ => (1, 0),
        };
        (steps * each).saturating_sub(last).max(steps)
    }

    /// Whether it asks a schedule for one step more and drops the level before the last (KSampler).
    pub fn discards_penultimate(self) -> bool {
        matches!(self.name, "dpm_2" | "dpm_2_ancestral" | "uni_pc" | "uni_pc_bh2")
    }

    /// Whether it uses the negative conditioning's answer, so that it is evaluated at cfg 1, too.
    pub fn needs_uncond(self) -> bool {
        self.name.ends_with("_cfg_pp")
    }

    /// Whether an inpainting run refills the kept part with fresh noise from seed + 1.
    pub fn renews_inpaint_noise(self) -> bool {
        self.name == "ddim"
    }

    /// The level at which the run really ends: uni_pc stops at 0.001 where 0 is asked for.
    pub fn last_sigma(self, sigmas: &[f32]) -> f32 {
        let last = sigmas.last().copied().unwrap_or(0.0);
        if last == 0.0 && self.name.starts_with("uni_pc") { uni_pc::LAST } else { last }
    }
}

impl PartialEq for SamplerKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SamplerKind {}

impl std::str::FromStr for SamplerKind {
    type Err = SamplingError;

    fn from_str(name: &str) -> Result<Self, SamplingError> {
        Self::named(name)
    }
}
