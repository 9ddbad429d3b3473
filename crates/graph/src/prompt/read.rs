//! Reading API-format JSON: straight from the text into the prompt, without a tree in between.
//!
//! Knows the form of a prompt, and of the files and requests that hold one. Knows no node class.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::error::{PromptReadError, as_python, kind, syntax};
use super::ids::IdTable;
use super::nodes::{Prompt, PromptNode};
use super::value::{Element, ElementSeed, InputSeed, KeySeed, MetaSeed, Words};
use crate::id::NodeId;
use crate::input::Input;
use crate::inputs::Inputs;
use crate::text::{encoding, non_finite};

const WHOLE: &str = "an object of nodes by id";
const NODE: &str = "an object with `class_type` and `inputs`";
const INPUTS: &str = "an object of inputs by name";
/// Keys that a node has and hardly any prompt has as an id.
const NODE_KEYS: [&str; 5] = ["class_type", "inputs", "_meta", "is_changed", "override_display_id"];

impl Prompt {
    /// Reads API-format JSON from text or bytes.
    ///
    /// Nothing is lost: order, integers and floats, unknown keys. (A link's socket written as a float, `["4", 1.0]`, is
    /// written back as the integer that it means.) A later duplicate of a key replaces the earlier one,
    /// as in Python. Text may be UTF-8, UTF-16 or UTF-32, with a byte order mark or without.
    ///
    /// NaN and infinities, which Python writes, may stand where nobody reads them, and in `is_changed`.
    ///
    /// # Errors
    /// [`PromptReadError`] with line and column where the text is not JSON, with node and key where it is JSON but no
    /// prompt.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, PromptReadError> {
        let text = &*encoding::utf8(text.as_ref());
        strict(text).or_else(|error| {
            let prompt = as_python(text, strict)?;
            let values = prompt.nodes.values().flat_map(|node| node.inputs.values()).filter_map(Input::as_value);
            if values.into_iter().any(|value| non_finite::non_finite(value).is_some()) {
                Err(error)
            } else {
                Ok(prompt)
            }
        })
    }

    /// Reads a prompt from JSON that is already parsed.
    ///
    /// # Errors
    /// [`PromptReadError`] with node and key where the value is no prompt.
    pub fn from_value(value: Value) -> Result<Self, PromptReadError> {
        let reader = Reader::default();
        let prompt = PromptSeed(&reader).deserialize(value);
        prompt.map_err(|e| reader.trouble.into_inner().unwrap_or_else(|| syntax(b"", &e)))
    }
}

fn strict(text: &[u8]) -> Result<Prompt, PromptReadError> {
    let reader = Reader::of(text);
    let prompt = whole(text, PromptSeed(&reader));
    prompt.map_err(|e| reader.trouble.into_inner().unwrap_or_else(|| syntax(text, &e)))
}

/// What a text turned out to be.
pub(crate) enum Read {
    /// A prompt, or a request that holds one.
    Prompt(Prompt),
    /// JSON whose form only the whole of it shows: a workflow, a prompt with something wrong in it, or one with
    /// names that make it look like something else.
    Other,
}

/// Reads a prompt, or the body of a `/prompt` request, and gives up as soon as the text may be anything else. A NaN or
/// an infinity is read as the object that stands for it ([`non_finite`]), so that validation names its input.
///
/// # Errors
/// [`PromptReadError::Syntax`] where the text is not JSON.
pub(crate) fn read_any(text: &[u8]) -> Result<Read, PromptReadError> {
    as_python(text, read_strictly)
}

fn read_strictly(text: &[u8]) -> Result<Read, PromptReadError> {
    let reader = Reader::of(text);
    match whole(text, AnySeed(&reader)) {
        Ok(prompt) => Ok(Read::Prompt(prompt)),
        Err(_) if reader.gave_up.get() || reader.trouble.borrow().is_some() => Ok(Read::Other),
        Err(error) => Err(syntax(text, &error)),
    }
}

/// Reads all of a text. The texts in it need no look of their own when the whole is known to be UTF-8.
fn whole<'de, S: DeserializeSeed<'de>>(text: &'de [u8], seed: S) -> Result<S::Value, serde_json::Error> {
    match std::str::from_utf8(text) {
        Ok(text) => to_end(serde_json::Deserializer::from_str(text), seed),
        // Something before the odd byte may be wrong, too.
        Err(_) => to_end(serde_json::Deserializer::from_slice(text), seed),
    }
}

fn to_end<'de, R: serde_json::de::Read<'de>, S: DeserializeSeed<'de>>(
    mut deserializer: serde_json::Deserializer<R>,
    seed: S,
) -> Result<S::Value, serde_json::Error> {
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// What all visitors of one text share.
#[derive(Default)]
struct Reader<'t> {
    /// What a visitor found wrong: serde's errors carry text only.
    trouble: RefCell<Option<PromptReadError>>,
    /// The text may be something else than a prompt.
    gave_up: Cell<bool>,
    words: Words,
    /// The prompt that is being read.
    ids: IdTable<'t>,
    /// Inputs of the node that is being read, before their number is known.
    inputs: RefCell<Vec<(Arc<str>, Input)>>,
}

impl<'t> Reader<'t> {
    fn of(text: &'t [u8]) -> Self {
        Self { ids: IdTable::of(text), ..Self::default() }
    }

    fn wrong<E: serde::de::Error>(
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

    fn give_up<E: serde::de::Error>(&self) -> E {
        self.gave_up.set(true);
        E::custom("perhaps no prompt")
    }

    /// Reads the node behind an id that was just read.
    fn node<'de, A: MapAccess<'de>>(&self, id: &str, map: &mut A) -> Result<(), A::Error> {
        let id = self.ids.own(id);
        let node = map.next_value_seed(NodeSeed { reader: self, id: &id })?;
        self.ids.insert(id, node);
        Ok(())
    }
}

/// Implements every `visit_*` of a visitor that wants an object: anything else goes to `$refuse`.
macro_rules! all_but_objects {
    ($refuse:ident) => {
        all_but_objects!($refuse, but lists);
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            self.$refuse(&Value::Array(Vec::new()))
        }
    };
    ($refuse:ident, but lists) => {
        fn visit_bool<E: serde::de::Error>(self, v: bool) -> Result<Self::Value, E> {
            self.$refuse(&Value::Bool(v))
        }
        fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<Self::Value, E> {
            self.$refuse(&v.into())
        }
        fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<Self::Value, E> {
            self.$refuse(&v.into())
        }
        fn visit_f64<E: serde::de::Error>(self, v: f64) -> Result<Self::Value, E> {
            self.$refuse(&v.into())
        }
        fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Self::Value, E> {
            self.$refuse(&v.into())
        }
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            self.$refuse(&Value::Null)
        }
    };
}

/// Implements `DeserializeSeed` for a visitor.
macro_rules! seed {
    ($seed:ident<$lifetime:lifetime> -> $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed<$lifetime> {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// A prompt and nothing else.
struct PromptSeed<'a>(&'a Reader<'a>);
seed!(PromptSeed<'_> -> Prompt);

impl PromptSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> Result<Prompt, E> {
        Err(self.0.wrong(None, None, WHOLE, found))
    }
}

impl<'de> Visitor<'de> for PromptSeed<'_> {
    type Value = Prompt;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WHOLE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prompt, A::Error> {
        while let Some(id) = map.next_key_seed(KeySeed)? {
            self.0.node(&id, &mut map)?;
        }
        Ok(self.0.ids.take())
    }
    all_but_objects!(refuse);
}

/// A prompt, or a request with a prompt in it.
struct AnySeed<'a>(&'a Reader<'a>);
seed!(AnySeed<'_> -> Prompt);

impl AnySeed<'_> {
    fn refuse<E: serde::de::Error>(&self, _: &Value) -> Result<Prompt, E> {
        Err(self.0.give_up())
    }
}

impl<'de> Visitor<'de> for AnySeed<'_> {
    type Value = Prompt;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WHOLE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prompt, A::Error> {
        let (mut body, mut is_prompt) = (None, true);
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if body.is_some() && key == "prompt" {
                return Err(self.0.give_up());
            }
            match map.next_value_seed(EntrySeed { reader: self.0, key: &key, body: body.is_some() })? {
                Entry::Body(prompt) => body = Some(prompt),
                Entry::Node => {}
                Entry::Stranger => is_prompt = false,
            }
        }
        match body {
            Some(body) => Ok(body),
            None if is_prompt => Ok(self.0.ids.take()),
            None => Err(self.0.give_up()),
        }
    }
    all_but_objects!(refuse);
}

/// What stands under one key of the whole.
enum Entry {
    /// A node, which is in the prompt by now.
    Node,
    /// The prompt of a request.
    Body(Prompt),
    /// Neither; a request may have such things beside its prompt.
    Stranger,
}

struct EntrySeed<'a> {
    reader: &'a Reader<'a>,
    key: &'a str,
    /// The request's prompt was read: what comes now is of no interest.
    body: bool,
}
seed!(EntrySeed<'_> -> Entry);

impl EntrySeed<'_> {
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "`all_but_objects` calls what the others call")]
    fn stranger<E: serde::de::Error>(&self, _: &Value) -> Result<Entry, E> {
        Ok(Entry::Stranger)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = Entry;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NODE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let Self { reader, key, body } = self;
        if body {
            while map.next_entry_seed(KeySeed, ElementSeed)?.is_some() {}
            return Ok(Entry::Stranger);
        }
        if key != "prompt" {
            let id = reader.ids.own(key);
            let (node, _) = NodeSeed { reader, id: &id }.read(None, &mut map)?;
            reader.ids.insert(id, node);
            return Ok(Entry::Node);
        }
        // A request's prompt, or a node of that name?
        match map.next_key_seed(KeySeed)? {
            Some(first) if NODE_KEYS.contains(&&*first) => {
                let id = reader.ids.own(key);
                let (node, has_class) = NodeSeed { reader, id: &id }.read(Some(first), &mut map)?;
                reader.ids.insert(id, node);
                if has_class { Ok(Entry::Node) } else { Err(reader.give_up()) }
            }
            first => body_of(reader, first, map).map(Entry::Body),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
        if self.key == "nodes" {
            return Err(self.reader.give_up());
        }
        while seq.next_element_seed(ElementSeed)?.is_some() {}
        Ok(Entry::Stranger)
    }
    all_but_objects!(stranger, but lists);
}

/// The prompt in a request, of which the first id was read.
fn body_of<'de, A: MapAccess<'de>>(
    reader: &Reader<'_>,
    first: Option<Cow<'de, str>>,
    mut map: A,
) -> Result<Prompt, A::Error> {
    let around = reader.ids.take();
    let mut next = first;
    while let Some(id) = next {
        if id == "class_type" {
            return Err(reader.give_up());
        }
        reader.node(&id, &mut map)?;
        next = map.next_key_seed(KeySeed)?;
    }
    Ok(reader.ids.replace(around))
}

struct NodeSeed<'a> {
    reader: &'a Reader<'a>,
    id: &'a NodeId,
}
seed!(NodeSeed<'_> -> PromptNode);

impl NodeSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> Result<PromptNode, E> {
        Err(self.reader.wrong(Some(self.id), None, NODE, found))
    }

    /// A key that holds text; the page may also write null for "none".
    fn text<'de, A: MapAccess<'de>>(&self, key: &'static str, map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
        match map.next_value_seed(ElementSeed)? {
            Element::Text(text) => Ok(Some(text)),
            Element::Value(Value::Null) => Ok(None),
            Element::Value(other) => Err(self.reader.wrong(Some(self.id), Some(key), "text", &other)),
        }
    }

    /// The node, of which a first key may have been read, and whether it has the key `class_type`.
    fn read<'de, A: MapAccess<'de>>(
        &self,
        first: Option<Cow<'de, str>>,
        map: &mut A,
    ) -> Result<(PromptNode, bool), A::Error> {
        let mut node = PromptNode::default();
        // Where each of the two keys stood first.
        let (mut class_at, mut inputs_at) = (None, None);
        let mut next = if first.is_some() { first } else { map.next_key_seed(KeySeed)? };
        for at in 0.. {
            let Some(key) = next else { break };
            match &*key {
                "class_type" => {
                    let class = self.text("class_type", map)?.unwrap_or_default();
                    node.class_type = self.reader.words.name(&class);
                    class_at = class_at.or(Some(at));
                }
                "inputs" => {
                    node.inputs = map.next_value_seed(InputsSeed { reader: self.reader, id: self.id })?;
                    inputs_at = inputs_at.or(Some(at));
                }
                "_meta" => node.meta = Some(map.next_value_seed(MetaSeed(&self.reader.words))?),
                "is_changed" => node.is_changed = Some(map.next_value()?),
                "override_display_id" => {
                    node.override_display_id = self.text("override_display_id", map)?.map(|id| NodeId::from(&*id));
                }
                other => {
                    let value = map.next_value()?;
                    node.extra.get_or_insert_default().insert(other.to_owned(), value);
                }
            }
            next = map.next_key_seed(KeySeed)?;
        }
        node.inputs_first = !node.class_type.is_empty() && inputs_at.is_some_and(|at| class_at > Some(at));
        Ok((node, class_at.is_some()))
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = PromptNode;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NODE)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PromptNode, A::Error> {
        self.read(None, &mut map).map(|(node, _)| node)
    }
    all_but_objects!(refuse);
}

struct InputsSeed<'a> {
    reader: &'a Reader<'a>,
    id: &'a NodeId,
}
seed!(InputsSeed<'_> -> Inputs);

impl InputsSeed<'_> {
    fn refuse<E: serde::de::Error>(&self, found: &Value) -> Result<Inputs, E> {
        Err(self.reader.wrong(Some(self.id), Some("inputs"), INPUTS, found))
    }
}

impl<'de> Visitor<'de> for InputsSeed<'_> {
    type Value = Inputs;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(INPUTS)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Inputs, A::Error> {
        let Reader { words, ids, inputs: scratch, .. } = self.reader;
        let mut found = scratch.take();
        found.clear();
        while let Some(name) = map.next_key_seed(KeySeed)? {
            let name = words.name(&name);
            found.push((name, map.next_value_seed(InputSeed { words, ids })?));
        }
        // Nodes have few inputs and there are many nodes: no room to spare in each.
        let mut inputs = Inputs::with_capacity(found.len());
        inputs.extend(found.drain(..));
        scratch.replace(found);
        Ok(inputs)
    }
    all_but_objects!(refuse);
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PromptSeed(&Reader::default()).deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for PromptNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NodeSeed { reader: &Reader::default(), id: &NodeId::from("") }.deserialize(deserializer)
    }
}
