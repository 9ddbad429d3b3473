//! What changes of weights are scheduled with: `HOOKS`, `HOOK_KEYFRAMES`, `TIMESTEPS_RANGE`, `FLOATS`.

use std::sync::Arc;

use kiln_exec::{FromValue, IntoValue, LinksInto, Value, kind, object};
use kiln_models::weight_hooks::{HookGroup, Keyframes};

/// Changes of weights for some conditions or text encoders.
#[derive(Clone, Debug)]
pub struct Hooks(pub Arc<HookGroup>);

object!(Hooks, "HOOKS");

impl Hooks {
    /// Wraps a group.
    pub fn new(group: HookGroup) -> Self {
        Self(Arc::new(group))
    }
}

/// How strongly hooks act from which part of a run on.
#[derive(Clone, Debug, PartialEq)]
pub struct HookKeyframes(pub Arc<Keyframes>);

object!(HookKeyframes, "HOOK_KEYFRAMES");

/// A part of a run, from 0 at its start to 1 at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimestepsRange {
    /// Where it starts.
    pub start: f64,
    /// Where it ends.
    pub end: f64,
}

object!(TimestepsRange, "TIMESTEPS_RANGE");

/// A list of numbers; one number counts as a list of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats(pub Arc<[f64]>);

impl FromValue for Floats {
    type Kind = Self;
    const TYPE: &'static str = "FLOATS";

    fn from_value(value: Value) -> Result<Self, Value> {
        let list = match &value {
            Value::Json(json) => {
                let items = json.as_array().map(Vec::as_slice).unwrap_or_default();
                let number = |item| f64::from_value(Value::from_json(item)).ok();
                json.is_array().then(|| items.iter().map(number).collect::<Option<Vec<f64>>>()).flatten()
            }
            other => f64::from_value(other.clone()).ok().map(|number| vec![number]),
        };
        list.map(|list| Self(list.into())).ok_or(value)
    }
}

impl IntoValue for Floats {
    type Kind = Self;
    const TYPE: &'static str = "FLOATS";

    fn into_value(self) -> Value {
        Value::from_json(&kiln_exec::json!(*self.0))
    }
}

impl LinksInto<Floats> for Floats {}
impl LinksInto<kind::Any> for Floats {}
