//! How often a sampling node evaluates its model, read off a prompt that has not run.

use kiln_exec::NodeView;
use kiln_models::sampler::SamplerKind;

/// Steps where a prompt doesn't say how many: ComfyUI's default.
const STEPS: u64 = 20;

/// Evaluations for the steps that stand in the node, or in what makes its sigmas; some samplers make two or three for a step.
pub(super) fn denoising(node: NodeView<'_>) -> u32 {
    let all = node.trace("sigmas", "steps").unwrap_or(node).number("steps").unwrap_or(STEPS);
    let end = node.number("end_at_step").map_or(all, |end| end.min(all));
    let steps = end.saturating_sub(node.number("start_at_step").unwrap_or(0));
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let sampler = node.trace("sampler", "sampler_name").unwrap_or(node);
    let kind = sampler.text("sampler_name").and_then(|name| SamplerKind::named(name).ok());
    kind.map_or(steps, |kind| kind.passes(steps))
}
