//! Names of samplers and schedulers, for combos.

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
