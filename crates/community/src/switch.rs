//! The first of several values that is there, from rgthree.

use kiln_exec::{Any, Cx, Execute, Extras, Node, NodeError, Registry, Value};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<AnySwitch>();
}

/// Passes the first of its inputs `any_01`, `any_02`, … on that is there. Those that lead to muted nodes are not.
#[derive(Node)]
#[node(
    class = "Any Switch (rgthree)",
    display_name = "Any Switch (rgthree)",
    category = "rgthree",
    module = "custom_nodes.rgthree-comfy",
    accept_all_inputs,
    outputs("*")
)]
struct AnySwitch {
    inputs: Extras,
}

impl Execute for AnySwitch {
    type Output = Any;

    fn execute(self, _: &mut Cx) -> Result<Any, NodeError> {
        let inputs = self.inputs.0.iter().filter(|(name, _)| name.starts_with("any_"));
        let mut values = inputs.filter_map(|(_, values)| values.at(0));
        let first = values.find(|value| !matches!(value, Value::Null));
        Ok(Any(first.cloned().unwrap_or(Value::Null)))
    }
}
