//! The samplers by ComfyUI's names.

use burn::tensor::Tensor;

use super::error::SamplingError;
use super::{
    adaptive, ancestral, cfg_pp, context::SamplerContext, dpm_solver, dpmpp, dpmpp_sde, er_sde, lcm_upscale, multistep,
    residual, sa_solver, seeds, single, uni_pc,
};

/// A sampler: the latent at the first level and the levels, to the latent at the last one.
pub type SamplerFn = fn(&mut SamplerContext<'_>, Tensor<4>, &[f32]) -> Result<Tensor<4>, SamplingError>;

/// A sampler of ComfyUI's list, with what a run has to know of it.
#[derive(Debug, Clone, Copy)]
pub struct SamplerKind {
    name: &'static str,
    run: SamplerFn,
    /// How often a step evaluates the model, and how many evaluations less a run has because its last steps take one.
    evaluations: (u32, u32),
    discards_penultimate: bool,
    needs_uncond: bool,
    renews_inpaint_noise: bool,
    /// The level at which a run to 0 ends.
    end: f32,
}

/// Every sampler, in ComfyUI's order.
const TABLE: &[SamplerKind] = &[
    row("euler", single::euler),
    row("euler_cfg_pp", cfg_pp::euler).with_uncond(),
    row("euler_ancestral", ancestral::euler),
    row("euler_ancestral_cfg_pp", cfg_pp::euler_ancestral).with_uncond(),
    row("heun", single::heun).evaluating(2, 1),
    row("heunpp2", single::heunpp2).evaluating(3, 3),
    row("dpm_2", single::dpm_2).evaluating(2, 1).discarding_penultimate(),
    row("dpm_2_ancestral", ancestral::dpm_2).evaluating(2, 1).discarding_penultimate(),
    row("lms", multistep::lms),
    row("dpm_fast", dpm_solver::fast),
    row("dpm_adaptive", adaptive::adaptive),
    row("dpmpp_2s_ancestral", ancestral::dpmpp_2s).evaluating(2, 1),
    row("dpmpp_2s_ancestral_cfg_pp", cfg_pp::dpmpp_2s_ancestral).evaluating(2, 1).with_uncond(),
    row("dpmpp_sde", dpmpp_sde::single).evaluating(2, 1),
    row("dpmpp_sde_gpu", dpmpp_sde::single).evaluating(2, 1),
    row("dpmpp_2m", dpmpp::two_m),
    row("dpmpp_2m_cfg_pp", cfg_pp::dpmpp_2m).with_uncond(),
    row("dpmpp_2m_sde", dpmpp_sde::two_m),
    row("dpmpp_2m_sde_gpu", dpmpp_sde::two_m),
    row("dpmpp_2m_sde_heun", dpmpp_sde::two_m_heun),
    row("dpmpp_2m_sde_heun_gpu", dpmpp_sde::two_m_heun),
    row("dpmpp_3m_sde", dpmpp_sde::three_m),
    row("dpmpp_3m_sde_gpu", dpmpp_sde::three_m),
    row("ddpm", single::ddpm),
    row("lcm", single::lcm),
    row("ipndm", multistep::ipndm),
    row("ipndm_v", multistep::ipndm_v),
    row("deis", multistep::deis),
    row("res_multistep", residual::plain),
    row("res_multistep_cfg_pp", residual::plain_cfg_pp).with_uncond(),
    row("res_multistep_ancestral", residual::ancestral),
    row("res_multistep_ancestral_cfg_pp", residual::ancestral_cfg_pp).with_uncond(),
    row("gradient_estimation", multistep::gradient_estimation),
    row("gradient_estimation_cfg_pp", cfg_pp::gradient_estimation).with_uncond(),
    row("er_sde", er_sde::er_sde),
    row("seeds_2", seeds::two).evaluating(2, 1),
    row("seeds_3", seeds::three).evaluating(3, 2),
    row("sa_solver", sa_solver::sa_solver),
    row("sa_solver_pece", sa_solver::sa_solver_pece).evaluating(2, 1),
    row("ddim", single::euler).renewing_inpaint_noise(),
    row("uni_pc", uni_pc::bh1).discarding_penultimate().ending_at(uni_pc::LAST),
    row("uni_pc_bh2", uni_pc::bh2).discarding_penultimate().ending_at(uni_pc::LAST),
];

/// A sampler that evaluates the model once per step and knows nothing special.
const fn row(name: &'static str, run: SamplerFn) -> SamplerKind {
    SamplerKind {
        name,
        run,
        evaluations: (1, 0),
        discards_penultimate: false,
        needs_uncond: false,
        renews_inpaint_noise: false,
        end: 0.0,
    }
}

/// The columns of the table.
impl SamplerKind {
    const fn evaluating(self, each: u32, less: u32) -> Self {
        Self { evaluations: (each, less), ..self }
    }

    const fn discarding_penultimate(self) -> Self {
        Self { discards_penultimate: true, ..self }
    }

    const fn with_uncond(self) -> Self {
        Self { needs_uncond: true, ..self }
    }

    const fn renewing_inpaint_noise(self) -> Self {
        Self { renews_inpaint_noise: true, ..self }
    }

    const fn ending_at(self, end: f32) -> Self {
        Self { end, ..self }
    }
}

impl SamplerKind {
    /// Euler's method with the other form of CFG++. Only a node of its own gives it.
    pub const EULER_ALTERNATIVE_CFG_PP: Self = row("euler_alternative_cfg_pp", cfg_pp::euler_alternative).with_uncond();
    /// Latent consistency sampling on a latent that grows. Only a node of its own gives it.
    pub const LCM_UPSCALE: Self = row("lcm_upscale", lcm_upscale::lcm_upscale);

    /// All of them in ComfyUI's order.
    pub fn all() -> &'static [Self] {
        TABLE
    }

    /// The sampler of that name.
    ///
    /// # Errors
    /// [`SamplingError::UnknownSampler`] with the names that exist.
    pub fn named(name: &str) -> Result<Self, SamplingError> {
        TABLE.iter().find(|s| s.name == name).copied().ok_or_else(|| SamplingError::UnknownSampler {
            name: name.to_owned(),
            known: TABLE.iter().map(|kind| kind.name).collect(),
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
    /// steps itself: the result is an estimate.
    pub fn passes(self, steps: u32) -> u32 {
        let (each, less) = self.evaluations;
        (steps * each).saturating_sub(less).max(steps)
    }

    /// Whether it asks a schedule for one step more and drops the level before the last (KSampler).
    pub fn discards_penultimate(self) -> bool {
        self.discards_penultimate
    }

    /// Whether it uses the negative conditioning's prediction, so that it is evaluated at cfg 1, too.
    pub fn needs_uncond(self) -> bool {
        self.needs_uncond
    }

    /// Whether an inpainting run refills the kept part with fresh noise from seed + 1.
    pub fn renews_inpaint_noise(self) -> bool {
        self.renews_inpaint_noise
    }

    /// The level at which the run really ends: uni_pc stops at 0.001 where 0 is asked for.
    pub fn last_sigma(self, sigmas: &[f32]) -> f32 {
        let last = sigmas.last().copied().unwrap_or(0.0);
        if last == 0.0 { self.end } else { last }
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

#[cfg(test)]
mod tests {
    use super::SamplerKind;

    fn those(fact: impl Fn(SamplerKind) -> bool) -> Vec<&'static str> {
        SamplerKind::all().iter().copied().filter(|kind| fact(*kind)).map(SamplerKind::name).collect()
    }

    #[test]
    fn the_facts_of_samplers_are_comfyuis() {
        assert_eq!(SamplerKind::all().len(), 42);
        assert_eq!(those(SamplerKind::discards_penultimate), ["dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh2"]);
        assert_eq!(those(SamplerKind::renews_inpaint_noise), ["ddim"]);
        assert_eq!(those(|kind| kind.last_sigma(&[1.0, 0.0]) != 0.0), ["uni_pc", "uni_pc_bh2"]);
        assert_eq!(those(SamplerKind::needs_uncond), those(|kind| kind.name().ends_with("_cfg_pp")));
        assert!(SamplerKind::EULER_ALTERNATIVE_CFG_PP.needs_uncond() && !SamplerKind::LCM_UPSCALE.needs_uncond());
    }

    #[test]
    fn a_run_that_stops_above_zero_ends_where_its_levels_end() {
        assert!(SamplerKind::all().iter().all(|kind| kind.last_sigma(&[1.0, 0.5]) == 0.5));
    }

    #[test]
    fn samplers_of_several_stages_evaluate_the_model_more_often_than_they_step() {
        let two = [
            "heun",
            "dpm_2",
            "dpm_2_ancestral",
            "dpmpp_2s_ancestral",
            "dpmpp_2s_ancestral_cfg_pp",
            "dpmpp_sde",
            "dpmpp_sde_gpu",
            "seeds_2",
            "sa_solver_pece",
        ];
        assert_eq!(those(|kind| kind.passes(10) == 19), two);
        assert_eq!(those(|kind| kind.passes(10) == 27), ["heunpp2"]);
        assert_eq!(those(|kind| kind.passes(10) == 28), ["seeds_3"]);
        assert_eq!(those(|kind| kind.passes(10) == 10).len(), 42 - two.len() - 2);
    }
}
