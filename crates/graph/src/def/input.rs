//! The description of one input. Knows no value that stands there.

use std::sync::Arc;

use serde_json::Value;

use super::SocketType;
use crate::map::Map;

/// Which group of inputs one belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Group {
    /// Must be given.
    #[default]
    Required,
    /// May be left out.
    Optional,
    /// Filled in by the executor (`PROMPT`, `UNIQUE_ID`, ...), or given by the prompt without being validated.
    Hidden,
}

/// One declared input.
#[derive(Clone, Debug, PartialEq)]
pub struct InputDef {
    /// The input's name in the prompt.
    pub name: Arc<str>,
    /// What it takes. For a hidden input: what the executor fills in (`UNIQUE_ID`).
    pub ty: SocketType,
    /// Required, optional or hidden.
    pub group: Group,
    /// The source is computed only when the node asks for it.
    pub lazy: bool,
    /// The node gets the link itself, not what it leads to.
    pub raw_link: bool,
    /// The node's code wants the whole list that the socket holds. (Not shown in `/object_info`, which only knows
    /// [`super::NodeDef::input_is_list`].)
    pub is_list: bool,
    /// The input exists only while the [dynamic choice](InputDef::dynamic_combo) of that name stands at that option.
    pub only_for: Option<(Arc<str>, Arc<str>)>,
    /// `default`, `min`, `max`, `step`, `tooltip`, `multiline`, `options`, ... as `/object_info` shows them, without
    /// `lazy` and `rawLink`, which are fields.
    pub options: Map<Arc<str>, Value>,
}

impl InputDef {
    /// A required input.
    pub fn new(name: impl Into<Arc<str>>, ty: impl Into<SocketType>) -> Self {
        Self {
            name: name.into(),
            ty: ty.into(),
            group: Group::Required,
            lazy: false,
            raw_link: false,
            is_list: false,
            only_for: None,
            options: Map::default(),
        }
    }

    /// A choice among these texts, in the newer form (`COMBO` with its choices in the options).
    pub fn combo<S: AsRef<str>>(name: impl Into<Arc<str>>, choices: impl IntoIterator<Item = S>) -> Self {
        let choices: Vec<Value> = choices.into_iter().map(|c| Value::from(c.as_ref())).collect();
        Self::new(name, "COMBO").option("options", choices)
    }

    /// Makes the input optional.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.group = Group::Optional;
        self
    }

    /// Makes the input hidden.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.group = Group::Hidden;
        self
    }

    /// Makes the input lazy.
    #[must_use]
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// The node gets the raw link.
    #[must_use]
    pub fn raw_link(mut self) -> Self {
        self.raw_link = true;
        self
    }

    /// Adds an option. `lazy` and `rawLink` set the fields of those names.
    #[must_use]
    pub fn option(mut self, key: impl Into<Arc<str>>, value: impl Into<Value>) -> Self {
        self.set_option(key.into(), value.into());
        self
    }

    /// Sets the tooltip, unless the text is empty.
    #[must_use]
    pub fn tooltip(self, text: &str) -> Self {
        if text.is_empty() { self } else { self.option("tooltip", text) }
    }

    pub(super) fn set_option(&mut self, key: Arc<str>, value: Value) {
        match &*key {
            "lazy" => self.lazy = crate::python::truthy(&value),
            "rawLink" => self.raw_link = crate::python::truthy(&value),
            _ => drop(self.options.insert(key, value)),
        }
    }

    /// Whether the input must be given.
    pub fn is_required(&self) -> bool {
        self.group == Group::Required
    }

    /// The choices of a combo of either form; `None` for other types, and for a `COMBO` that the page fills.
    pub fn choices(&self) -> Option<&[Value]> {
        match &self.ty {
            SocketType::Combo(choices) => Some(choices),
            SocketType::Named(name) if &**name == "COMBO" => self.options.get("options")?.as_array().map(Vec::as_slice),
            SocketType::Named(_) => None,
        }
    }

    /// Whether an option is set to something that Python takes for true.
    pub fn flag(&self, option: &str) -> bool {
        self.options.get(option).is_some_and(crate::python::truthy)
    }

    /// The value that the page would fill in: the declared default, else a combo's first choice, else zero, empty or
    /// false by type; `None` for a socket.
    pub fn default_value(&self) -> Option<Value> {
        if let Some(value) = self.options.get("default") {
            return Some(value.clone());
        }
        if let Some(choices) = self.choices() {
            return choices.first().cloned();
        }
        if self.is_dynamic_combo() {
            return self.option_keys().next().map(Value::from);
        }
        match self.ty.name()? {
            "INT" | "FLOAT" => Some(Value::from(0)),
            "STRING" => Some(Value::from("")),
            "BOOLEAN" => Some(Value::from(false)),
            _ => None,
        }
    }
}
