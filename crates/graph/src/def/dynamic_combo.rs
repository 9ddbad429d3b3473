//! A dynamic choice: an input whose options bring inputs of their own, which stand beside it under dotted names.
//!
//! In `/object_info` the inputs are nested in the option that brings them; here they follow their choice, each with the
//! option that it exists for. Knows definitions, and no
//! node.

use serde_json::{Map as Object, Value, json};

use super::{Group, InputDef};

/// What a dynamic choice is declared as.
const DYNAMIC_COMBO: &str = "COMFY_DYNAMICCOMBO_V3";

const GROUPS: [(Group, &str); 2] = [(Group::Required, "required"), (Group::Optional, "optional")];

impl InputDef {
    /// A choice among `options`, each with the inputs that a node has while it is chosen: `width` of the choice `size`
    /// is `size.width` in the prompt.
    pub fn dynamic_combo<'k>(
        name: impl Into<std::sync::Arc<str>>,
        options: impl IntoIterator<Item = (&'k str, Vec<Self>)>,
    ) -> Self {
        let option = |(key, inputs): (&str, Vec<Self>)| json!({"key": key, "inputs": nested(&inputs)});
        let options: Vec<Value> = options.into_iter().map(option).collect();
        Self::new(name, DYNAMIC_COMBO).option("options", options)
    }

    /// Whether the input is a choice that brings others.
    pub(crate) fn is_dynamic_combo(&self) -> bool {
        self.ty.is(DYNAMIC_COMBO)
    }

    /// The options of a dynamic choice; nothing for other inputs.
    pub(crate) fn option_keys(&self) -> impl Iterator<Item = &str> {
        self.dynamic_options().filter_map(|option| option.get("key")?.as_str())
    }

    fn dynamic_options(&self) -> impl Iterator<Item = &Value> {
        let options = self.options.get("options").filter(|_| self.is_dynamic_combo());
        options.and_then(Value::as_array).into_iter().flatten()
    }

    /// The inputs that the options of a dynamic choice bring, under the names that they have in prompts.
    pub(super) fn brought_inputs(&self) -> Vec<Self> {
        let mut found = Vec::new();
        for option in self.dynamic_options() {
            let Some(key) = option.get("key").and_then(Value::as_str) else { continue };
            for (group, name) in GROUPS {
                let inputs = option.pointer(&format!("/inputs/{name}")).and_then(Value::as_object);
                for (name, spec) in inputs.into_iter().flatten() {
                    let Some(input) = Self::from_spec(name, group, spec) else { continue };
                    found.push(input.brought_by(self, key));
                }
            }
        }
        found
    }

    fn brought_by(mut self, choice: &Self, key: &str) -> Self {
        self.name = format!("{}.{}", choice.name, self.name).into();
        self.only_for = Some((choice.name.clone(), key.into()));
        self
    }
}

/// Inputs as an option of a dynamic choice shows them.
fn nested(inputs: &[InputDef]) -> Value {
    let of = |group: Group| -> Object<String, Value> {
        inputs.iter().filter(|input| input.group == group).map(|input| (input.name.to_string(), input.spec())).collect()
    };
    GROUPS.iter().map(|(group, name)| ((*name).to_owned(), Value::from(of(*group)))).collect::<Object<_, _>>().into()
}
