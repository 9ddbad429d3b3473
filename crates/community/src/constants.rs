//! Constants as nodes, from KJNodes.

use kiln_exec::{Cx, Execute, Node, NodeError, Registry};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<BOOLConstant>();
    registry.add::<INTConstant>();
    registry.add::<FloatConstant>();
    registry.add::<StringConstant>();
    registry.add::<StringConstantMultiline>();
}

/// -(2⁶⁴ - 1), which JSON's whole numbers do not reach.
const SMALLEST: f64 = -18_446_744_073_709_551_615.0;

/// A choice between yes and no.
#[derive(Node)]
#[node(
    display_name = "BOOL Constant",
    category = "KJNodes/constants",
    module = "custom_nodes.comfyui-kjnodes",
    outputs(value)
)]
struct BOOLConstant {
    /// The value.
    #[input(default = true)]
    value: bool,
}

impl Execute for BOOLConstant {
    type Output = bool;

    fn execute(self, _: &mut Cx) -> Result<bool, NodeError> {
        Ok(self.value)
    }
}

/// A whole number.
#[derive(Node)]
#[node(
    display_name = "INT Constant",
    category = "KJNodes/constants",
    module = "custom_nodes.comfyui-kjnodes",
    outputs(value)
)]
struct INTConstant {
    /// The value.
    #[input(default = 0, min = SMALLEST, max = u64::MAX)]
    value: i128,
}

impl Execute for INTConstant {
    type Output = i128;

    fn execute(self, _: &mut Cx) -> Result<i128, NodeError> {
        Ok(self.value)
    }
}

/// A number with a fraction, rounded to six places.
#[derive(Node)]
#[node(
    display_name = "Float Constant",
    category = "KJNodes/constants",
    module = "custom_nodes.comfyui-kjnodes",
    outputs(value)
)]
struct FloatConstant {
    /// The value.
    #[input(default = 0.0, min = SMALLEST, max = u64::MAX, step = 0.00001)]
    value: f64,
}

impl Execute for FloatConstant {
    type Output = f64;

    fn execute(self, _: &mut Cx) -> Result<f64, NodeError> {
        // Python's `round(value, 6)`: the decimal that is nearest to the exact value, ties to even.
        Ok(format!("{:.6}", self.value).parse().unwrap_or(self.value))
    }
}

/// One line of text.
#[derive(Node)]
#[node(display_name = "String Constant", category = "KJNodes/constants", module = "custom_nodes.comfyui-kjnodes")]
struct StringConstant {
    /// The text.
    #[input(default = "", option("multiline" = false))]
    string: String,
}

impl Execute for StringConstant {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        Ok(self.string)
    }
}

/// Text of any length.
#[derive(Node)]
#[node(
    display_name = "String Constant Multiline",
    category = "KJNodes/constants",
    module = "custom_nodes.comfyui-kjnodes"
)]
struct StringConstantMultiline {
    /// The text.
    #[input(default = "", multiline)]
    string: String,
    /// Whether each line loses its own end before the lines are joined. Else each has two.
    #[input(default = true)]
    strip_newlines: bool,
}

impl Execute for StringConstantMultiline {
    type Output = String;

    fn execute(self, _: &mut Cx) -> Result<String, NodeError> {
        let lines: Vec<&str> = self.string.split_inclusive('\n').collect();
        let bare = |line: &str| if self.strip_newlines { line.replace('\n', "") } else { line.to_owned() };
        Ok(lines.into_iter().map(bare).collect::<Vec<_>>().join("\n"))
    }
}
