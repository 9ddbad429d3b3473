//! Definitions as `/object_info` JSON, both ways.
//!
//! Knows both forms that readers must take: older classes put a combo's choices in the type's place and hidden inputs
//! as bare text, newer ones use `COMBO` and one-element lists.

use std::sync::Arc;

use serde_json::{Map as Object, Value, json};

use super::{Group, InputDef, NodeDef, NodeDefs, OutputDef, SocketType};

/// Why a text is no list of definitions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object_info, class {class_type:?}: {message}")]
pub struct ObjectInfoError {
    /// The class that is wrong; empty when it is the whole.
    pub class_type: String,
    /// What is wrong there.
    pub message: String,
}

const GROUPS: [(Group, &str); 3] =
    [(Group::Required, "required"), (Group::Optional, "optional"), (Group::Hidden, "hidden")];

impl InputDef {
    /// `[type]` or `[type, options]`.
    pub(crate) fn spec(&self) -> Value {
        match (self.config_options(), self.group) {
            (options, Group::Hidden) if options.is_empty() => json!(self.ty),
            (options, _) if options.is_empty() => json!([self.ty]),
            (options, _) => json!([self.ty, options]),
        }
    }

    /// `[type, options]`, which is how validation errors quote the declaration.
    pub(crate) fn config(&self) -> Value {
        json!([self.ty, self.config_options()])
    }

    fn config_options(&self) -> Object<String, Value> {
        let mut options: Object<_, _> = self.options.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        if self.lazy {
            options.insert("lazy".into(), true.into());
        }
        if self.raw_link {
            options.insert("rawLink".into(), true.into());
        }
        options
    }

    pub(super) fn from_spec(name: &str, group: Group, spec: &Value) -> Option<Self> {
        let (ty, options) = match spec {
            Value::String(_) => (spec, None),
            Value::Array(parts) => (parts.first()?, parts.get(1)),
            _ => return None,
        };
        let ty = match ty {
            Value::String(name) => SocketType::Named(name.as_str().into()),
            Value::Array(choices) => SocketType::Combo(choices.clone().into()),
            _ => return None,
        };
        let mut input = Self { group, ..Self::new(name, ty) };
        for (key, value) in options.and_then(Value::as_object).into_iter().flatten() {
            input.set_option(key.as_str().into(), value.clone());
        }
        Some(input)
    }
}

impl NodeDef {
    /// The class's entry in `/object_info`.
    pub fn to_object_info(&self) -> Value {
        let (mut input, mut order) = (Object::new(), Object::new());
        for (group, key) in GROUPS {
            let specs: Object<_, _> = self.shown(group).map(|i| (i.name.to_string(), i.spec())).collect();
            if !specs.is_empty() || group == Group::Required {
                order.insert(key.into(), specs.keys().cloned().collect());
                input.insert(key.into(), specs.into());
            }
        }
        let outputs = &self.outputs;
        let mut info = json!({
            "input": input,
            "input_order": order,
            "is_input_list": self.input_is_list,
            "output": outputs.iter().map(|o| &o.ty).collect::<Vec<_>>(),
            "output_is_list": outputs.iter().map(|o| o.is_list).collect::<Vec<_>>(),
            "output_name": outputs.iter().map(|o| &o.name).collect::<Vec<_>>(),
            "name": self.class_type,
            "display_name": self.display_name.as_ref().or((!self.unnamed).then_some(&self.class_type)),
            "description": self.description,
            "python_module": self.module,
            "category": self.category,
            "output_node": self.output_node,
            "has_intermediate_output": self.has_intermediate_output,
            "search_aliases": self.search_aliases,
        });
        if let Some(info) = info.as_object_mut() {
            if outputs.iter().any(|o| o.tooltip.is_some()) {
                info.insert("output_tooltips".into(), outputs.iter().map(|o| json!(o.tooltip)).collect());
            }
            if outputs.iter().any(|o| o.match_template.is_some()) {
                info.insert("output_matchtypes".into(), outputs.iter().map(|o| json!(o.match_template)).collect());
            }
            let flags = [
                ("deprecated", self.deprecated),
                ("experimental", self.experimental),
                ("dev_only", self.dev_only),
                ("api_node", self.api_node),
            ];
            info.extend(flags.iter().filter(|(_, on)| *on).map(|(key, _)| ((*key).into(), true.into())));
        }
        info
    }

    /// The inputs of a group that stand by themselves, not inside of an option of a dynamic choice.
    fn shown(&self, group: Group) -> impl Iterator<Item = &InputDef> {
        self.group(group).filter(|input| input.only_for.is_none())
    }

    /// Reads one entry of `/object_info`. What it does not show (validators, `not_idempotent`) stays unset.
    ///
    /// # Errors
    /// [`ObjectInfoError`] when the entry has not that form.
    pub fn from_object_info(class_type: &str, info: &Value) -> Result<Self, ObjectInfoError> {
        let wrong = |message: String| ObjectInfoError { class_type: class_type.to_owned(), message };
        if !info.is_object() {
            return Err(wrong("not an object".into()));
        }
        let text = |key: &str| info.get(key).and_then(Value::as_str).map(Arc::<str>::from);
        let flag = |key: &str| info.get(key).is_some_and(crate::python::truthy);
        let mut def = Self {
            display_name: text("display_name"),
            unnamed: info.get("display_name").is_some_and(Value::is_null),
            category: text("category").unwrap_or_default(),
            description: text("description").unwrap_or_default(),
            module: text("python_module").or_else(|| text("module")).unwrap_or_default(),
            output_node: flag("output_node"),
            input_is_list: flag("is_input_list"),
            has_intermediate_output: flag("has_intermediate_output"),
            deprecated: flag("deprecated"),
            experimental: flag("experimental"),
            dev_only: flag("dev_only"),
            api_node: flag("api_node"),
            ..Self::new(class_type)
        };
        let strings =
            |key: &str| info.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        def.search_aliases = strings("search_aliases").map(Arc::from).collect();
        for (group, key) in GROUPS {
            for (name, spec) in ordered_inputs(info, key) {
                let input = InputDef::from_spec(name, group, spec);
                def.add_input(input.ok_or_else(|| wrong(format!("input `{name}` has no type")))?);
            }
        }
        def.outputs = outputs(info).ok_or_else(|| wrong("an output has no type".into()))?;
        Ok(def)
    }
}

/// A group's inputs, those of `input_order` first.
fn ordered_inputs<'a>(info: &'a Value, group: &str) -> Vec<(&'a str, &'a Value)> {
    let Some(specs) = info.pointer(&format!("/input/{group}")).and_then(Value::as_object) else { return Vec::new() };
    let order = info.pointer(&format!("/input_order/{group}")).and_then(Value::as_array);
    let named = order.into_iter().flatten().filter_map(Value::as_str);
    let mut found: crate::map::Map<&str, &Value> =
        named.filter_map(|name| specs.get_key_value(name)).map(|(name, spec)| (name.as_str(), spec)).collect();
    for (name, spec) in specs {
        found.entry(name).or_insert(spec);
    }
    found.into_iter().collect()
}

fn outputs(info: &Value) -> Option<Vec<OutputDef>> {
    let at = |key: &str, i: usize| info.get(key).and_then(|list| list.get(i));
    let types = info.get("output").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |(i, ty): (usize, &Value)| {
        let ty = match ty {
            Value::String(name) => SocketType::Named(name.as_str().into()),
            Value::Array(choices) => SocketType::Combo(choices.clone().into()),
            _ => return None,
        };
        let mut output = OutputDef::new(ty);
        if let Some(name) = at("output_name", i).and_then(Value::as_str) {
            output.name = name.into();
        }
        output.is_list = at("output_is_list", i).and_then(Value::as_bool).unwrap_or_default();
        output.tooltip = at("output_tooltips", i).and_then(Value::as_str).map(Arc::from);
        output.match_template = at("output_matchtypes", i).and_then(Value::as_str).map(Arc::from);
        Some(output)
    };
    types.iter().enumerate().map(one).collect()
}

impl NodeDefs {
    /// All definitions as `/object_info` returns them.
    pub fn to_object_info(&self) -> Value {
        self.iter().map(|def| (def.class_type.to_string(), def.to_object_info())).collect::<Object<_, _>>().into()
    }

    /// Reads a response of `/object_info`, of this server or of another.
    ///
    /// # Errors
    /// [`ObjectInfoError`] naming the first class that has not that form.
    pub fn from_object_info(info: &Value) -> Result<Self, ObjectInfoError> {
        let classes = info.as_object().ok_or_else(|| ObjectInfoError {
            class_type: String::new(),
            message: "not an object of classes by name".into(),
        })?;
        classes.iter().map(|(class_type, info)| NodeDef::from_object_info(class_type, info)).collect()
    }
}
