//! Nodes that decide what runs: the lazy switch.

use kiln_exec::{Any, Cx, Execute, Lazy, Node, NodeError};

crate::comfy::classes::classes! {
    Switch,
}

/// Passes one of two inputs on. Only the chosen one is computed.
#[derive(Node)]
#[allow(clippy::struct_field_names, reason = "the inputs have ComfyUI's names")]
#[node(
    class = "ComfySwitchNode",
    display_name = "Switch",
    category = "logic",
    module = "comfy_extras.nodes_logic",
    outputs("output"),
    experimental,
    aliases("if", "choose")
)]
pub struct Switch {
    /// Which of the two to pass on.
    switch: bool,
    /// Passed on when the switch is off.
    on_false: Lazy<Any>,
    /// Passed on when the switch is on.
    on_true: Lazy<Any>,
}

impl Execute for Switch {
    type Output = Any;

    fn needs(&self) -> Vec<&'static str> {
        vec![if self.switch { "on_true" } else { "on_false" }]
    }

    fn execute(self, _: &mut Cx) -> Result<Any, NodeError> {
        if self.switch { self.on_true.get() } else { self.on_false.get() }
    }
}
