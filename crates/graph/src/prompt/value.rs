//! Reading what stands in a node: one input, one `_meta`, one text. Values that occur again and again are kept once.
//!
//! Knows the forms of an input. Knows neither nodes nor the form of a prompt.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ids::IdTable;
use super::meta::{Meta, TITLE};
use super::recent::Recent;
use crate::id::Link;
use crate::input::{Input, socket_of};

/// Longer texts are kept each for itself.
const LONGEST_SHARED: usize = 64;

/// What was read lately.
#[derive(Default)]
pub(super) struct Words {
    /// Classes and names of inputs.
    names: RefCell<Recent<Arc<str>>>,
    titles: RefCell<Recent<Arc<str>>>,
    literals: RefCell<Recent<Arc<Value>>>,
}

impl Words {
    /// A class, or the name of an input.
    pub(super) fn name(&self, text: &str) -> Arc<str> {
        self.names.borrow_mut().text(text)
    }

    fn title(&self, text: &str) -> Meta {
        Meta::titled(self.titles.borrow_mut().text(text))
    }

    fn scalar(&self, value: Value) -> Input {
        let key = match &value {
            Value::Number(n) => n.as_u64().or_else(|| Some(n.as_f64()?.to_bits())).unwrap_or_default(),
            other => u64::from(other == &Value::Bool(true)),
        };
        let mut literals = self.literals.borrow_mut();
        Input::Literal(literals.get(key, |known| is_same(known, &value), || Arc::new(value.clone())))
    }

    fn text(&self, text: &str) -> Input {
        if text.len() > LONGEST_SHARED {
            return Input::literal(text);
        }
        let is_it = |known: &Arc<Value>| matches!(&**known, Value::String(known) if known == text);
        Input::Literal(self.literals.borrow_mut().get(text, is_it, || Arc::new(text.into())))
    }
}

/// Whether two scalars are written the same: `0.0` and `-0.0` are equal, and are not.
fn is_same(a: &Value, b: &Value) -> bool {
    let bits = |value: &Value| value.as_f64().filter(|_| value.is_f64()).map(f64::to_bits);
    a == b && bits(a) == bits(b)
}

/// A text, which may be borrowed from what is read, or any other value.
pub(super) enum Element<'de> {
    Text(Cow<'de, str>),
    Value(Value),
}

impl Element<'_> {
    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Value(value) => value,
        }
    }
}

/// Implements every `visit_*` for scalars other than texts by wrapping the value.
macro_rules! scalars_are_values {
    (|$this:ident, $value:ident| $wrapped:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }
        scalars_are_values!(visit_bool(bool), |$this, $value| $wrapped);
        scalars_are_values!(visit_i64(i64), |$this, $value| $wrapped);
        scalars_are_values!(visit_u64(u64), |$this, $value| $wrapped);
        scalars_are_values!(visit_f64(f64), |$this, $value| $wrapped);
        fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
            let ($this, $value) = (self, Value::Null);
            Ok($wrapped)
        }
    };
    ($visit:ident($ty:ty), |$this:ident, $value:ident| $wrapped:expr) => {
        fn $visit<E: serde::de::Error>(self, value: $ty) -> Result<Self::Value, E> {
            let ($this, $value) = (self, Value::from(value));
            Ok($wrapped)
        }
    };
}

/// Reads any value; a text without escapes is not copied.
pub(super) struct ElementSeed;

impl<'de> DeserializeSeed<'de> for ElementSeed {
    type Value = Element<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed {
    type Value = Element<'de>;
    scalars_are_values!(|_this, value| Element::Value(value));
    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Element<'de>, E> {
        Ok(Element::Text(text.into()))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Element<'de>, E> {
        Ok(Element::Text(text.to_owned().into()))
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Element<'de>, E> {
        Ok(Element::Text(text.into()))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Element<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Element::Value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Element<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(Element::Value)
    }
}

/// Reads one input.
pub(super) struct InputSeed<'a> {
    pub(super) words: &'a Words,
    pub(super) ids: &'a IdTable<'a>,
}

impl<'de> DeserializeSeed<'de> for InputSeed<'_> {
    type Value = Input;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Input, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for InputSeed<'_> {
    type Value = Input;
    scalars_are_values!(|this, value| this.words.scalar(value));
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Input, E> {
        Ok(self.words.text(text))
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Input, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(map)).map(Input::from_json)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Input, A::Error> {
        let mut items = Vec::new();
        match seq.next_element_seed(ElementSeed)? {
            None => {}
            Some(Element::Value(first)) => items.push(first),
            Some(Element::Text(node)) => {
                let second: Option<Value> = seq.next_element()?;
                let third: Option<Value> = if second.is_some() { seq.next_element()? } else { None };
                if let (Some(socket), None) = (second.as_ref().and_then(socket_of), &third) {
                    return Ok(Input::Link(Link { node: self.ids.linked(&node), socket }));
                }
                items.push(Value::from(node));
                items.extend(second.into_iter().chain(third));
            }
        }
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Input::Malformed(Arc::new(Value::Array(items))))
    }
}

/// Reads a `_meta`.
pub(super) struct MetaSeed<'a>(pub(super) &'a Words);

impl<'de> DeserializeSeed<'de> for MetaSeed<'_> {
    type Value = Meta;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Meta, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetaSeed<'_> {
    type Value = Meta;
    scalars_are_values!(|_this, value| Meta::from(value));
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Meta, E> {
        Ok(Value::from(text).into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Meta, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(seq)).map(Meta::from)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Meta, A::Error> {
        let mut object = Map::new();
        let mut next = map.next_key_seed(KeySeed)?;
        while let Some(key) = next {
            let value = map.next_value_seed(ElementSeed)?;
            next = map.next_key_seed(KeySeed)?;
            match value {
                Element::Text(title) if next.is_none() && object.is_empty() && key == TITLE => {
                    return Ok(self.0.title(&title));
                }
                other => object.insert(key.into_owned(), other.into_value()),
            };
        }
        Ok(Value::from(object).into())
    }
}

/// Reads a key without copying it, where it has no escapes.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(text.into())
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(text.to_owned().into())
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Cow<'de, str>, E> {
        Ok(text.into())
    }
}
