//! A node's `_meta`: a title, and seldom more.
//!
//! Every node that the page sends has one. Kept as a tree of JSON values it would be the largest part of a prompt of a
//! million nodes, so a title alone is kept as text. Knows nothing of nodes.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// The key of the title.
pub(super) const TITLE: &str = "title";

/// The `_meta` of a node, whatever was written there.
#[derive(Clone, PartialEq)]
pub struct Meta(Repr);

#[derive(Clone, PartialEq)]
enum Repr {
    /// `{"title": ".."}` and no other key.
    Title(Arc<str>),
    /// Anything else. Never of that form, so that equal ones have one representation.
    Value(Box<Value>),
}

impl Meta {
    /// A title and nothing else.
    pub fn titled(title: impl Into<Arc<str>>) -> Self {
        Self(Repr::Title(title.into()))
    }

    /// The title that a person gave the node.
    pub fn title(&self) -> Option<&str> {
        match &self.0 {
            Repr::Title(title) => Some(title),
            Repr::Value(value) => value.get(TITLE)?.as_str(),
        }
    }

    /// The JSON as it was written.
    pub fn to_value(&self) -> Value {
        match &self.0 {
            Repr::Title(title) => Map::from_iter([(TITLE.to_owned(), Value::from(&**title))]).into(),
            Repr::Value(value) => (**value).clone(),
        }
    }
}

impl From<Value> for Meta {
    fn from(value: Value) -> Self {
        let title = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get(TITLE));
        match title.and_then(Value::as_str) {
            Some(title) => Self::titled(title),
            None => Self(Repr::Value(Box::new(value))),
        }
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_value())
    }
}

impl Serialize for Meta {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::Title(title) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(TITLE, title)?;
                map.end()
            }
            Repr::Value(value) => value.serialize(serializer),
        }
    }
}
