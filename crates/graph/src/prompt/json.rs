//! Reading and writing API-format JSON: straight from the text into the prompt, without a tree in between.
//!
//! Knows the form of a prompt. Knows no node class.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{Prompt, PromptNode};
use crate::id::NodeId;
use crate::input::{Input, Inputs};

/// Why a text is no prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptReadError {
    /// The text is not JSON.
    #[error("not JSON, line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The text is JSON, but not a prompt.
    #[error("{}", shape_text(node.as_ref(), *key, expected, found))]
    Shape {
        /// The node that is wrong; `None` when it is the whole.
        node: Option<NodeId>,
        /// The key of the node that is wrong; `None` when it is the node itself.
        key: Option<&'static str>,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
}

fn shape_text(node: Option<&NodeId>, key: Option<&str>, expected: &str, found: &str) -> String {
    match (node, key) {
        (None, _) => format!("a prompt is {expected}, this is {found}"),
        (Some(node), None) => format!("node \"{node}\" must be {expected}, found {found}"),
        (Some(node), Some(key)) => format!("node \"{node}\": `{key}` must be {expected}, found {found}"),
    }
}

const WHOLE: &str = "an object of nodes by id";
const NODE: &str = "an object with `class_type` and `inputs`";

/// What a JSON value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

pub(super) fn read(text: &[u8]) -> Result<Prompt, PromptReadError> {
    let trouble = Trouble::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let prompt = PromptSeed(&trouble).deserialize(&mut deserializer).and_then(|p| deserializer.end().map(|()| p));
    prompt.map_err(|e| trouble.0.into_inner().unwrap_or_else(|| syntax(text, &e)))
}

pub(super) fn from_value(value: Value) -> Result<Prompt, PromptReadError> {
    let trouble = Trouble::default();
    let prompt = PromptSeed(&trouble).deserialize(value);
    prompt.map_err(|e| trouble.0.into_inner().unwrap_or_else(|| syntax(b"", &e)))
}

/// serde_json's error with its position apart from its words, and a word about Python's NaN.
pub(crate) fn syntax(text: &[u8], error: &serde_json::Error) -> PromptReadError {
    let (line, column) = (error.line(), error.column());
    let mut message = error.to_string();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    let row = text.split(|b| *b == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let here = |back: usize, word: &str| {
        row.get(column.saturating_sub(back)..).is_some_and(|rest| rest.starts_with(word.as_bytes()))
    };
    if (0..3).any(|back| here(back, "NaN") || here(back, "Infinity")) {
        message.push_str("; JSON has no NaN and no infinity, write a number");
    }
    PromptReadError::Syntax { line, column, message }
}

/// Where a visitor leaves what it found wrong: serde's errors carry text only.
#[derive(Default)]
struct Trouble(RefCell<Option<PromptReadError>>);

impl Trouble {
    fn set<E: serde::de::Error>(
        &self,
        node: Option<&NodeId>,
        key: Option<&'static str>,
        expected: &'static str,
        found: &Value,
    ) -> E {
        let error = PromptReadError::Shape { node: node.cloned(), key, expected, found: kind(found) };
        let text = E::custom(&error);
        *self.0.borrow_mut() = Some(error);
        text
    }
}

/// Implements every `visit_*` of a visitor that wants an object: anything else is a wrong shape.
macro_rules! refuse_all_but_objects {
    ($refuse:ident) => {
        fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
            Err(self.$refuse(&Value::Bool(v)))
        }
        fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
            Err(self.$refuse(&v.into()))
        }
        fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
            Err(self.$refuse(&v.into()))
        }
        fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
            Err(self.$refuse(&v.into()))
        }
        fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Self::Value, E> {
            Err(self.$refuse(&v.into()))
        }
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Err(self.$refuse(&Value::Null))
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.$refuse(&Value::Array(Vec::new())))
        }
    };
}

struct PromptSeed<'a>(&'a Trouble);

impl PromptSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> E {
        self.0.set(None, None, WHOLE, found)
    }
}

impl<'de> DeserializeSeed<'de> for PromptSeed<'_> {
    type Value = Prompt;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Prompt, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PromptSeed<'_> {
    type Value = Prompt;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WHOLE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prompt, A::Error> {
        let mut prompt = Prompt::default();
        while let Some(id) = map.next_key::<NodeId>()? {
            let node = map.next_value_seed(NodeSeed { trouble: self.0, id: &id })?;
            prompt.nodes.insert(id, node);
        }
        Ok(prompt)
    }
    refuse_all_but_objects!(refuse);
}

struct NodeSeed<'a> {
    trouble: &'a Trouble,
    id: &'a NodeId,
}

impl NodeSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> E {
        self.trouble.set(Some(self.id), None, NODE, found)
    }

    /// A key that holds text; the page may also write null for "none".
    fn text<E: serde::de::Error>(&self, key: &'static str, value: Value) -> Result<Option<String>, E> {
        match value {
            Value::String(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            other => Err(self.trouble.set(Some(self.id), Some(key), "text", &other)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = PromptNode;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PromptNode, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = PromptNode;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NODE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PromptNode, A::Error> {
        let mut node = PromptNode::default();
        let mut inputs_seen = false;
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match &*key {
                "class_type" => {
                    let first = node.class_type.is_empty();
                    node.class_type = self.text("class_type", map.next_value()?)?.unwrap_or_default().into();
                    node.inputs_first = !node.class_type.is_empty() && if first { inputs_seen } else { node.inputs_first };
                }
                "inputs" => {
                    node.inputs = map.next_value_seed(InputsSeed { trouble: self.trouble, id: self.id })?;
                    inputs_seen = true;
                }
                "_meta" => node.meta = Some(map.next_value()?),
                "is_changed" => node.is_changed = Some(map.next_value()?),
                "override_display_id" => {
                    node.override_display_id = self.text("override_display_id", map.next_value()?)?.map(NodeId::from);
                }
                other => {
                    let value = map.next_value()?;
                    node.extra.get_or_insert_default().insert(other.to_owned(), value);
                }
            }
        }
        Ok(node)
    }
    refuse_all_but_objects!(refuse);
}

struct InputsSeed<'a> {
    trouble: &'a Trouble,
    id: &'a NodeId,
}

impl InputsSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> E {
        self.trouble.set(Some(self.id), Some("inputs"), "an object of inputs by name", found)
    }
}

impl<'de> DeserializeSeed<'de> for InputsSeed<'_> {
    type Value = Inputs;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inputs, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputsSeed<'_> {
    type Value = Inputs;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of inputs by name")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inputs, A::Error> {
        let mut inputs = Inputs::default();
        while let Some((name, value)) = map.next_entry::<Arc<str>, Value>()? {
            inputs.insert(name, Input::from_json(value));
        }
        Ok(inputs)
    }
    refuse_all_but_objects!(refuse);
}

impl<'de> serde::Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PromptSeed(&Trouble::default()).deserialize(deserializer)
    }
}

impl<'de> serde::Deserialize<'de> for PromptNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NodeSeed { trouble: &Trouble::default(), id: &NodeId::from("") }.deserialize(deserializer)
    }
}

impl Serialize for PromptNode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.inputs_first {
            map.serialize_entry("inputs", &self.inputs)?;
        }
        if !self.class_type.is_empty() {
            map.serialize_entry("class_type", &self.class_type)?;
        }
        if !self.inputs_first {
            map.serialize_entry("inputs", &self.inputs)?;
        }
        if let Some(meta) = &self.meta {
            map.serialize_entry("_meta", meta)?;
        }
        if let Some(is_changed) = &self.is_changed {
            map.serialize_entry("is_changed", is_changed)?;
        }
        if let Some(id) = &self.override_display_id {
            map.serialize_entry("override_display_id", id)?;
        }
        for (key, value) in self.extra.iter().flat_map(|extra| extra.iter()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
