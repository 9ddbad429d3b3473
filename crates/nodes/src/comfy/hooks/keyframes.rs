//! Keyframes: made one by one, between two strengths, or from a list of numbers, and given to hooks.

use std::sync::Arc;

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::weight_hooks::{HookError, Interpolation, Keyframe, Keyframes};

use crate::payload::{Floats, HookKeyframes, Hooks};

/// The keyframes before with more of them.
fn extended(
    before: Option<HookKeyframes>,
    print: bool,
    change: impl FnOnce(&Keyframes) -> Result<Keyframes, HookError>,
) -> Result<HookKeyframes, NodeError> {
    let before = before.map(|keyframes| keyframes.0).unwrap_or_default();
    let keyframes = change(&before).map_err(|error| NodeError::new(error.to_string()))?;
    if print {
        for Keyframe { strength, start, .. } in keyframes.list() {
            tracing::info!(start_percent = start, strength, "a keyframe of hooks");
        }
    }
    Ok(HookKeyframes(Arc::new(keyframes)))
}

/// Lets hooks follow keyframes over the run.
#[derive(Node)]
#[node(
    display_name = "Set Hook Keyframes",
    category = "advanced/hooks/scheduling",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct SetHookKeyframes {
    /// The hooks.
    hooks: Hooks,
    /// The keyframes, in the place of those that the hooks have.
    hook_kf: Option<HookKeyframes>,
}

impl Execute for SetHookKeyframes {
    type Output = Hooks;

    fn execute(self, _: &mut Cx) -> Result<Hooks, NodeError> {
        let Some(keyframes) = self.hook_kf else { return Ok(self.hooks) };
        Ok(Hooks::new(self.hooks.0.with_keyframes(&keyframes.0)))
    }
}

/// A strength for hooks from a part of the run on.
#[derive(Node)]
#[node(
    display_name = "Create Hook Keyframe",
    category = "advanced/hooks/scheduling",
    module = "comfy_extras.nodes_hooks",
    outputs("HOOK_KF"),
    experimental
)]
pub struct CreateHookKeyframe {
    /// A factor on the hooks' own strengths.
    #[input(default = 1.0, min = -20.0, max = 20.0, step = 0.01)]
    strength_mult: f64,
    /// From where it holds, 0 for the start of the run.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Other keyframes.
    prev_hook_kf: Option<HookKeyframes>,
}

impl Execute for CreateHookKeyframe {
    type Output = HookKeyframes;

    fn execute(self, _: &mut Cx) -> Result<HookKeyframes, NodeError> {
        let keyframe = Keyframe { strength: self.strength_mult, start: self.start_percent, guarantee_steps: 1 };
        extended(self.prev_hook_kf, false, |before| before.with(keyframe))
    }
}

/// Strengths for hooks between two of them.
#[derive(Node)]
#[node(
    display_name = "Create Hook Keyframes Interp.",
    category = "advanced/hooks/scheduling",
    module = "comfy_extras.nodes_hooks",
    outputs("HOOK_KF"),
    experimental
)]
pub struct CreateHookKeyframesInterpolated {
    /// The first strength.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.001)]
    strength_start: f64,
    /// The last strength.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.001)]
    strength_end: f64,
    /// The way from one to the other.
    #[input(combo = Interpolation::NAMES)]
    interpolation: String,
    /// Where the first holds from, 0 for the start of the run.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Where the last holds from.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
    /// How many there are.
    #[input(default = 5, min = 2, max = 100, step = 1)]
    keyframes_count: usize,
    /// Whether the log lists them.
    #[input(default = false)]
    print_keyframes: bool,
    /// Other keyframes.
    prev_hook_kf: Option<HookKeyframes>,
}

impl Execute for CreateHookKeyframesInterpolated {
    type Output = HookKeyframes;

    fn execute(self, _: &mut Cx) -> Result<HookKeyframes, NodeError> {
        let way = Interpolation::named(&self.interpolation).ok_or_else(|| {
            NodeError::new(format!("`interpolation` is `{}`, which is no known way", self.interpolation))
        })?;
        let (strengths, starts) = ((self.strength_start, self.strength_end), (self.start_percent, self.end_percent));
        extended(self.prev_hook_kf, self.print_keyframes, |before| {
            before.interpolated(way, strengths, starts, self.keyframes_count)
        })
    }
}

/// Strengths for hooks from a list of numbers, spread evenly over a part of the run.
#[derive(Node)]
#[node(
    display_name = "Create Hook Keyframes From Floats",
    category = "advanced/hooks/scheduling",
    module = "comfy_extras.nodes_hooks",
    outputs("HOOK_KF"),
    experimental
)]
pub struct CreateHookKeyframesFromFloats {
    /// The strengths.
    #[input(default = -1, min = -1, step = 0.001, force_input)]
    floats_strength: Floats,
    /// Where the first holds from, 0 for the start of the run.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Where the last holds from.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
    /// Whether the log lists them.
    #[input(default = false)]
    print_keyframes: bool,
    /// Other keyframes.
    prev_hook_kf: Option<HookKeyframes>,
}

impl Execute for CreateHookKeyframesFromFloats {
    type Output = HookKeyframes;

    fn execute(self, _: &mut Cx) -> Result<HookKeyframes, NodeError> {
        extended(self.prev_hook_kf, self.print_keyframes, |before| {
            before.spread(&self.floats_strength.0, self.start_percent, self.end_percent)
        })
    }
}
