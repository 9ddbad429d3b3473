//! Nodes that denoise, and the parts that runs are put together from.

mod advanced;
mod guiders;
mod ksampler;
mod noise;
mod run;
mod samplers;
mod schedulers;
mod sigmas;

pub use advanced::{SamplerCustom, SamplerCustomAdvanced};
pub use guiders::{BasicGuider, CFGGuider, DualCFGGuider, PerpNegGuider};
pub use ksampler::{KSampler, KSamplerAdvanced};
pub use noise::{AddNoise, DisableNoise, RandomNoise};
pub use run::StepPreview;
pub use samplers::{
    KSamplerSelect, SamplerDPMAdaptative, SamplerDPMPP_2M_SDE, SamplerDPMPP_2S_Ancestral, SamplerDPMPP_3M_SDE,
    SamplerDPMPP_SDE, SamplerER_SDE, SamplerEulerAncestral, SamplerEulerAncestralCFGPP, SamplerEulerCFGpp,
    SamplerLCMUpscale, SamplerLMS, SamplerSASolver,
};
pub use schedulers::{
    AlignYourStepsScheduler, BasicScheduler, BetaSamplingScheduler, ExponentialScheduler, KarrasScheduler,
    LaplaceScheduler, PolyexponentialScheduler, SDTurboScheduler, VPScheduler,
};
pub use sigmas::{
    ExtendIntermediateSigmas, FlipSigmas, SamplingPercentToSigma, SetFirstSigma, SplitSigmas, SplitSigmasDenoise,
};

use kiln_models::sampler::SamplerKind;
use kiln_models::schedule::Scheduler;

/// The samplers' names in ComfyUI's order.
pub(crate) fn sampler_names() -> Vec<&'static str> {
    SamplerKind::all().iter().map(|sampler| sampler.name()).collect()
}

/// The schedulers' names in ComfyUI's order.
pub(crate) fn scheduler_names() -> Vec<&'static str> {
    Scheduler::ALL.iter().map(|scheduler| scheduler.name()).collect()
}
