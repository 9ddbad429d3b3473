//! Constants as nodes, and text about any value.

use kiln_exec::{Any, Cx, Execute, Node, NodeError, Ui, Value, WithUi};
use kiln_graph::python_float;

use crate::files::json_text;

crate::comfy::classes::classes! {
    PrimitiveInt, PrimitiveFloat, PrimitiveBoolean, PrimitiveString, PrimitiveStringMultiline, PreviewAny,
}

/// The largest whole number that the page can set.
const LARGEST: i64 = i64::MAX;

macro_rules! primitives {
    ($($(#[$attributes:meta])* $name:ident: $type:ty, $(#[$input:meta])*;)*) => {$(
        #[derive(Node)]
        $(#[$attributes])*
        pub struct $name {
            /// The value.
            $(#[$input])*
            value: $type,
        }

        impl Execute for $name {
            type Output = $type;

            fn execute(self, _: &mut Cx) -> Result<$type, NodeError> {
                Ok(self.value)
            }
        }
    )*};
}

primitives! {
    /// A whole number.
    #[node(display_name = "Int", category = "utils/primitive", module = "comfy_extras.nodes_primitive")]
    PrimitiveInt: i64, #[input(min = -LARGEST, max = LARGEST, control_after_generate)];
    /// A number with a fraction.
    #[node(display_name = "Float", category = "utils/primitive", module = "comfy_extras.nodes_primitive")]
    PrimitiveFloat: f64, #[input(min = -LARGEST, max = LARGEST)];
    /// A choice between yes and no.
    #[node(display_name = "Boolean", category = "utils/primitive", module = "comfy_extras.nodes_primitive")]
    PrimitiveBoolean: bool,;
    /// One line of text.
    #[node(display_name = "String", category = "utils/primitive", module = "comfy_extras.nodes_primitive")]
    PrimitiveString: String, #[input(option("multiline" = false))];
    /// Text of any length.
    #[node(
        display_name = "String (Multiline)",
        category = "utils/primitive",
        module = "comfy_extras.nodes_primitive"
    )]
    PrimitiveStringMultiline: String, #[input(multiline)];
}

/// Shows any value as text.
#[derive(Node)]
#[node(display_name = "Preview as Text", category = "utils", module = "comfy_extras.nodes_preview_any", output_node)]
pub struct PreviewAny {
    /// The value to show.
    source: Any,
}

impl Execute for PreviewAny {
    type Output = WithUi<()>;

    fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let text = match &self.source.0 {
            Value::String(text) => text.to_string(),
            // As Python's `str` has them, and its `json.dumps` has lists and dicts.
            Value::Null => "None".to_owned(),
            Value::Bool(truth) => if *truth { "True" } else { "False" }.to_owned(),
            Value::Float(number) => python_float(*number),
            Value::Json(json) => json_text(json),
            other => format!("{other:?}"),
        };
        Ok(WithUi { outcome: (), ui: Ui::new().with("text", text) })
    }
}
