//! Reading and writing API-format JSON: straight from the text into the prompt, without a tree in between.
//!
//! Knows the form of a prompt. Knows no node class.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::{Prompt, PromptNode};
use crate::id::{Link, NodeId};
use crate::input::{Input, socket_of};
use crate::inputs::Inputs;
use crate::map::Set;

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
    let reader = Reader::default();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let prompt = PromptSeed(&reader).deserialize(&mut deserializer).and_then(|p| deserializer.end().map(|()| p));
    prompt.map_err(|e| reader.trouble.into_inner().unwrap_or_else(|| syntax(text, &e)))
}

pub(super) fn from_value(value: Value) -> Result<Prompt, PromptReadError> {
    let reader = Reader::default();
    let prompt = PromptSeed(&reader).deserialize(value);
    prompt.map_err(|e| reader.trouble.into_inner().unwrap_or_else(|| syntax(b"", &e)))
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

/// What all visitors of one prompt share.
#[derive(Default)]
struct Reader {
    /// What a visitor found wrong: serde's errors carry text only.
    trouble: RefCell<Option<PromptReadError>>,
    /// Every name and id that was read: a class, an input or a link's end is kept once, however often it occurs.
    words: RefCell<Set<Arc<str>>>,
    /// Inputs of the node that is being read, before their number is known.
    inputs: RefCell<Vec<(Arc<str>, Input)>>,
}

impl Reader {
    fn word(&self, text: &str) -> Arc<str> {
        let mut words = self.words.borrow_mut();
        if let Some(word) = words.get(text) {
            return word.clone();
        }
        let word: Arc<str> = text.into();
        words.insert(word.clone());
        word
    }

    fn set<E: serde::de::Error>(
        &self,
        node: Option<&NodeId>,
        key: Option<&'static str>,
        expected: &'static str,
        found: &Value,
    ) -> E {
        let error = PromptReadError::Shape { node: node.cloned(), key, expected, found: kind(found) };
        let text = E::custom(&error);
        *self.trouble.borrow_mut() = Some(error);
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
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            Err(self.$refuse(&Value::Array(Vec::new())))
        }
    };
}

struct PromptSeed<'a>(&'a Reader);

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
        while let Some(id) = map.next_key_seed(WordSeed(self.0))?.map(NodeId::from) {
            let node = map.next_value_seed(NodeSeed { reader: self.0, id: &id })?;
            prompt.nodes.insert(id, node);
        }
        Ok(prompt)
    }
    refuse_all_but_objects!(refuse);
}

struct NodeSeed<'a> {
    reader: &'a Reader,
    id: &'a NodeId,
}

impl NodeSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> E {
        self.reader.set(Some(self.id), None, NODE, found)
    }

    /// A key that holds text; the page may also write null for "none".
    fn text<'de, A: MapAccess<'de>>(&self, key: &'static str, map: &mut A) -> Result<Option<Arc<str>>, A::Error> {
        match map.next_value_seed(ElementSeed(self.reader))? {
            Element::Text(text) => Ok(Some(text)),
            Element::Value(Value::Null) => Ok(None),
            Element::Value(other) => Err(self.reader.set(Some(self.id), Some(key), "text", &other)),
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
                    node.class_type = self.text("class_type", &mut map)?.unwrap_or_default();
                    node.inputs_first =
                        !node.class_type.is_empty() && if first { inputs_seen } else { node.inputs_first };
                }
                "inputs" => {
                    node.inputs = map.next_value_seed(InputsSeed { reader: self.reader, id: self.id })?;
                    inputs_seen = true;
                }
                "_meta" => node.meta = Some(map.next_value()?),
                "is_changed" => node.is_changed = Some(map.next_value()?),
                "override_display_id" => {
                    node.override_display_id = self.text("override_display_id", &mut map)?.map(NodeId::from);
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
    reader: &'a Reader,
    id: &'a NodeId,
}

impl InputsSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> E {
        self.reader.set(Some(self.id), Some("inputs"), "an object of inputs by name", found)
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
        let mut found = self.reader.inputs.take();
        found.clear();
        while let Some(name) = map.next_key_seed(WordSeed(self.reader))? {
            found.push((name, map.next_value_seed(InputSeed(self.reader))?));
        }
        // Nodes have few inputs and there are many nodes: no room to spare in each.
        let mut inputs = Inputs::with_capacity(found.len());
        inputs.extend(found.drain(..));
        self.reader.inputs.replace(found);
        Ok(inputs)
    }
    refuse_all_but_objects!(refuse);
}

/// A name or an id.
struct WordSeed<'a>(&'a Reader);

impl<'de> DeserializeSeed<'de> for WordSeed<'_> {
    type Value = Arc<str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Arc<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for WordSeed<'_> {
    type Value = Arc<str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(self.0.word(text))
    }
}

/// A text that may be a name, or any other value.
enum Element {
    Text(Arc<str>),
    Value(Value),
}

/// Implements every `visit_*` for scalars other than texts by wrapping the value.
macro_rules! scalars_are_values {
    ($wrap:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }
        fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
            Ok($wrap(v.into()))
        }
        fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
            Ok($wrap(v.into()))
        }
        fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
            Ok($wrap(v.into()))
        }
        fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
            Ok($wrap(v.into()))
        }
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            Ok($wrap(Value::Null))
        }
    };
}

struct ElementSeed<'a>(&'a Reader);

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Element;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_> {
    type Value = Element;
    scalars_are_values!(Element::Value);
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(self.0.word(text)))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Element::Value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Element, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(Element::Value)
    }
}

struct InputSeed<'a>(&'a Reader);

impl<'de> DeserializeSeed<'de> for InputSeed<'_> {
    type Value = Input;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputSeed<'_> {
    type Value = Input;
    scalars_are_values!(literal);
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Input, E> {
        Ok(Input::literal(text))
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Input, E> {
        Ok(Input::literal(text))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Input, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Input::from_json)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Input, A::Error> {
        let mut items = Vec::new();
        match seq.next_element_seed(ElementSeed(self.0))? {
            None => {}
            Some(Element::Value(first)) => items.push(first),
            Some(Element::Text(node)) => {
                let second: Option<Value> = seq.next_element()?;
                let third: Option<Value> = if second.is_some() { seq.next_element()? } else { None };
                if let (Some(socket), None) = (second.as_ref().and_then(socket_of), &third) {
                    return Ok(Input::Link(Link { node: node.into(), socket }));
                }
                items.push(Value::from(&*node));
                items.extend(second.into_iter().chain(third));
            }
        }
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Input::Malformed(Box::new(Value::Array(items))))
    }
}

impl<'de> serde::Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PromptSeed(&Reader::default()).deserialize(deserializer)
    }
}

impl<'de> serde::Deserialize<'de> for PromptNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NodeSeed { reader: &Reader::default(), id: &NodeId::from("") }.deserialize(deserializer)
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

fn literal(scalar: Value) -> Input {
    Input::literal(scalar)
}
