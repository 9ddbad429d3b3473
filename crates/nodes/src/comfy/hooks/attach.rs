//! How conditions get hooks, and with them places, times and the rest of the image.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::Conditioning as Conditions;

use crate::payload::{Conditioning, Hooks, Mask, TimestepsRange};

/// What the nodes of this file give to conditions.
struct Properties {
    strength: f64,
    set_cond_area: String,
    mask: Option<Mask>,
    hooks: Option<Hooks>,
    timesteps: Option<TimestepsRange>,
}

impl Properties {
    fn on(&self, conditioning: &Conditioning) -> Result<Conditions, NodeError> {
        let mut conditions = (*conditioning.0).clone();
        if let Some(hooks) = &self.hooks {
            conditions = conditions.set_hooks(&hooks.0);
        }
        if let Some(mask) = &self.mask {
            conditions = conditions.set_mask(&mask.tensor(), self.strength, self.set_cond_area == "mask bounds");
        }
        if let Some(TimestepsRange { start, end }) = self.timesteps {
            if start > end {
                return Err(NodeError::new(format!(
                    "`timesteps` ends at {end} before it starts at {start}: nothing would be drawn of this condition"
                )));
            }
            conditions = conditions.set_range(start, end);
        }
        Ok(conditions)
    }
}

fn combined(conditioning: &Conditioning, more: &Conditions) -> Conditioning {
    Conditioning::new(conditioning.0.combine(more))
}

/// A condition and another one that holds where it doesn't.
fn with_default(conditioning: &Conditioning, default: &Conditioning, hooks: Option<&Hooks>) -> Conditioning {
    let hooked = hooks.map_or_else(|| (*default.0).clone(), |hooks| default.0.set_hooks(&hooks.0));
    combined(conditioning, &hooked.set_default())
}

/// Says with which hooks, where and when a condition holds.
#[derive(Node)]
#[node(
    display_name = "Cond Set Props",
    category = "advanced/hooks/cond single",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct ConditioningSetProperties {
    /// The condition.
    #[input(name = "cond_NEW")]
    cond_new: Conditioning,
    /// How much it counts where the mask is white.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// Whether the model sees the whole image or only the part around the mask.
    #[input(combo = ["default", "mask bounds"])]
    set_cond_area: String,
    /// White where it holds. Of any size.
    mask: Option<Mask>,
    /// What changes the model for it.
    hooks: Option<Hooks>,
    /// The part of the run it holds for.
    timesteps: Option<TimestepsRange>,
}

impl Execute for ConditioningSetProperties {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { cond_new, strength, set_cond_area, mask, hooks, timesteps } = self;
        let properties = Properties { strength, set_cond_area, mask, hooks, timesteps };
        Ok(Conditioning::new(properties.on(&cond_new)?))
    }
}

/// Says with which hooks, where and when a condition holds, and lets it hold beside another.
#[derive(Node)]
#[node(
    display_name = "Cond Set Props Combine",
    category = "advanced/hooks/cond single",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct ConditioningSetPropertiesAndCombine {
    /// The other condition, which stays as it is.
    cond: Conditioning,
    /// The condition.
    #[input(name = "cond_NEW")]
    cond_new: Conditioning,
    /// How much it counts where the mask is white.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// Whether the model sees the whole image or only the part around the mask.
    #[input(combo = ["default", "mask bounds"])]
    set_cond_area: String,
    /// White where it holds. Of any size.
    mask: Option<Mask>,
    /// What changes the model for it.
    hooks: Option<Hooks>,
    /// The part of the run it holds for.
    timesteps: Option<TimestepsRange>,
}

impl Execute for ConditioningSetPropertiesAndCombine {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { cond, cond_new, strength, set_cond_area, mask, hooks, timesteps } = self;
        let properties = Properties { strength, set_cond_area, mask, hooks, timesteps };
        Ok(combined(&cond, &properties.on(&cond_new)?))
    }
}

/// Says with which hooks, where and when two conditions hold.
#[derive(Node)]
#[node(
    display_name = "Cond Pair Set Props",
    category = "advanced/hooks/cond pair",
    module = "comfy_extras.nodes_hooks",
    outputs("positive", "negative"),
    experimental
)]
pub struct PairConditioningSetProperties {
    /// What to draw.
    #[input(name = "positive_NEW")]
    positive_new: Conditioning,
    /// What to move away from.
    #[input(name = "negative_NEW")]
    negative_new: Conditioning,
    /// How much they count where the mask is white.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// Whether the model sees the whole image or only the part around the mask.
    #[input(combo = ["default", "mask bounds"])]
    set_cond_area: String,
    /// White where they hold. Of any size.
    mask: Option<Mask>,
    /// What changes the model for them.
    hooks: Option<Hooks>,
    /// The part of the run they hold for.
    timesteps: Option<TimestepsRange>,
}

impl Execute for PairConditioningSetProperties {
    type Output = (Conditioning, Conditioning);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let Self { positive_new, negative_new, strength, set_cond_area, mask, hooks, timesteps } = self;
        let properties = Properties { strength, set_cond_area, mask, hooks, timesteps };
        let on = |conditioning| properties.on(conditioning).map(Conditioning::new);
        Ok((on(&positive_new)?, on(&negative_new)?))
    }
}

/// Says with which hooks, where and when two conditions hold, and lets them hold beside others.
#[derive(Node)]
#[node(
    display_name = "Cond Pair Set Props Combine",
    category = "advanced/hooks/cond pair",
    module = "comfy_extras.nodes_hooks",
    outputs("positive", "negative"),
    experimental
)]
pub struct PairConditioningSetPropertiesAndCombine {
    /// What else to draw; it stays as it is.
    positive: Conditioning,
    /// What else to move away from.
    negative: Conditioning,
    /// What to draw.
    #[input(name = "positive_NEW")]
    positive_new: Conditioning,
    /// What to move away from.
    #[input(name = "negative_NEW")]
    negative_new: Conditioning,
    /// How much they count where the mask is white.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// Whether the model sees the whole image or only the part around the mask.
    #[input(combo = ["default", "mask bounds"])]
    set_cond_area: String,
    /// White where they hold. Of any size.
    mask: Option<Mask>,
    /// What changes the model for them.
    hooks: Option<Hooks>,
    /// The part of the run they hold for.
    timesteps: Option<TimestepsRange>,
}

impl Execute for PairConditioningSetPropertiesAndCombine {
    type Output = (Conditioning, Conditioning);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let Self { positive, negative, positive_new, negative_new, .. } = self;
        let Self { strength, set_cond_area, mask, hooks, timesteps, .. } = self;
        let properties = Properties { strength, set_cond_area, mask, hooks, timesteps };
        let on = |to: &Conditioning, new| properties.on(new).map(|new| combined(to, &new));
        Ok((on(&positive, &positive_new)?, on(&negative, &negative_new)?))
    }
}

/// Lets a condition hold where another one doesn't.
#[derive(Node)]
#[node(
    display_name = "Cond Set Default Combine",
    category = "advanced/hooks/cond single",
    module = "comfy_extras.nodes_hooks",
    experimental
)]
pub struct ConditioningSetDefaultCombine {
    /// The other condition, which stays as it is.
    cond: Conditioning,
    /// What holds in the rest of the image.
    #[input(name = "cond_DEFAULT")]
    cond_default: Conditioning,
    /// What changes the model for the rest.
    hooks: Option<Hooks>,
}

impl Execute for ConditioningSetDefaultCombine {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(with_default(&self.cond, &self.cond_default, self.hooks.as_ref()))
    }
}

/// Lets two conditions hold where two others don't.
#[derive(Node)]
#[node(
    display_name = "Cond Pair Set Default Combine",
    category = "advanced/hooks/cond pair",
    module = "comfy_extras.nodes_hooks",
    outputs("positive", "negative"),
    experimental
)]
pub struct PairConditioningSetDefaultCombine {
    /// What to draw; it stays as it is.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// What to draw in the rest of the image.
    #[input(name = "positive_DEFAULT")]
    positive_default: Conditioning,
    /// What to move away from in the rest of the image.
    #[input(name = "negative_DEFAULT")]
    negative_default: Conditioning,
    /// What changes the model for the rest.
    hooks: Option<Hooks>,
}

impl Execute for PairConditioningSetDefaultCombine {
    type Output = (Conditioning, Conditioning);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let hooks = self.hooks.as_ref();
        let positive = with_default(&self.positive, &self.positive_default, hooks);
        Ok((positive, with_default(&self.negative, &self.negative_default, hooks)))
    }
}

/// Lets two pairs of conditions hold at once.
#[derive(Node)]
#[node(
    display_name = "Cond Pair Combine",
    category = "advanced/hooks/cond pair",
    module = "comfy_extras.nodes_hooks",
    outputs("positive", "negative"),
    experimental
)]
pub struct PairConditioningCombine {
    /// What to draw.
    #[input(name = "positive_A")]
    positive_a: Conditioning,
    /// What to move away from.
    #[input(name = "negative_A")]
    negative_a: Conditioning,
    /// What else to draw.
    #[input(name = "positive_B")]
    positive_b: Conditioning,
    /// What else to move away from.
    #[input(name = "negative_B")]
    negative_b: Conditioning,
}

impl Execute for PairConditioningCombine {
    type Output = (Conditioning, Conditioning);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let positive = combined(&self.positive_a, &self.positive_b.0);
        Ok((positive, combined(&self.negative_a, &self.negative_b.0)))
    }
}

/// A part of the run, and what is before and after it.
#[derive(Node)]
#[node(
    display_name = "Timesteps Range",
    category = "advanced/hooks",
    module = "comfy_extras.nodes_hooks",
    outputs("TIMESTEPS_RANGE", "BEFORE_RANGE", "AFTER_RANGE"),
    experimental
)]
pub struct ConditioningTimestepsRange {
    /// Where it starts, 0 for the start of the run.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// Where it ends, 1 for the end of the run.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
}

impl Execute for ConditioningTimestepsRange {
    type Output = (TimestepsRange, TimestepsRange, TimestepsRange);

    fn execute(self, _: &mut Cx) -> Result<(TimestepsRange, TimestepsRange, TimestepsRange), NodeError> {
        let (start, end) = (self.start_percent, self.end_percent);
        let range = |start, end| TimestepsRange { start, end };
        Ok((range(start, end), range(0.0, start), range(end, 1.0)))
    }
}
