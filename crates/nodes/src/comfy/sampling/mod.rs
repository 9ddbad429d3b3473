//! Nodes that denoise, and the parts that runs are put together from.

mod advanced;
mod guiders;
pub(in crate::comfy) mod ksampler;
pub(in crate::comfy) mod names;
mod noise;
mod passes;
mod run;
mod samplers;
mod schedulers;
mod searched;
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
pub use searched::{Flux2Scheduler, GITSScheduler, LTXVScheduler, OptimalStepsScheduler};
pub use sigmas::{
    ExtendIntermediateSigmas, FlipSigmas, SamplingPercentToSigma, SetFirstSigma, SplitSigmas, SplitSigmasDenoise,
};

crate::comfy::classes::classes! {
    KSampler, KSamplerAdvanced, SamplerCustom, SamplerCustomAdvanced, BasicGuider, CFGGuider, DualCFGGuider,
    PerpNegGuider, RandomNoise, DisableNoise, AddNoise, KSamplerSelect, SamplerEulerAncestral,
    SamplerEulerAncestralCFGPP, SamplerLMS, SamplerDPMPP_2S_Ancestral, SamplerDPMPP_SDE, SamplerDPMPP_2M_SDE,
    SamplerDPMPP_3M_SDE, SamplerDPMAdaptative, SamplerER_SDE, SamplerSASolver, SamplerEulerCFGpp, SamplerLCMUpscale,
    BasicScheduler, KarrasScheduler, ExponentialScheduler, PolyexponentialScheduler, LaplaceScheduler, VPScheduler,
    SDTurboScheduler, BetaSamplingScheduler, AlignYourStepsScheduler, OptimalStepsScheduler,
    GITSScheduler, LTXVScheduler, Flux2Scheduler, SplitSigmas, SplitSigmasDenoise, FlipSigmas,
    SetFirstSigma, ExtendIntermediateSigmas, SamplingPercentToSigma,
}
