//! What stands in an input of a node: a link, a literal, or a payload that an expansion passed along.
//!
//! Knows the JSON form of each. Knows nothing of what the node's class expects there.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::id::{Link, NodeId};

/// The key that marks a literal list in JSON: a bare list would be taken for a link.
pub(crate) const WRAP: &str = "__value__";
/// The key under which a payload shows in JSON. It can be seen there, not read back.
const OPAQUE: &str = "__opaque__";

/// One input's content.
#[derive(Clone)]
pub enum Input {
    /// Another node's output.
    Link(Link),
    /// A value that JSON can say. A list is a list here; in JSON it stands as `{"__value__": [..]}`. Shared, because
    /// the same few literals stand in many nodes. See [`Input::literal`].
    Literal(Arc<Value>),
    /// A value that JSON cannot say, passed as a literal by an expansion. This crate never looks inside. In JSON it
    /// shows as `{"__opaque__": true}`.
    Opaque(Arc<dyn Any + Send + Sync>),
    /// A bare JSON list that has not the form of a link. Where the class declares the input, validation refuses it
    /// (`bad_linked_input`); whoever runs a graph that was never validated takes it as a literal list.
    Malformed(Arc<Value>),
}

impl Input {
    /// A link to output `socket` of `node`.
    pub fn link(node: impl Into<NodeId>, socket: usize) -> Self {
        Self::Link(Link::new(node, socket))
    }

    /// A literal: the value as it is, a list stays a list.
    pub fn literal(value: impl Into<Value>) -> Self {
        Self::Literal(Arc::new(value.into()))
    }

    /// The link, if it is one.
    pub fn as_link(&self) -> Option<&Link> {
        match self {
            Self::Link(link) => Some(link),
            _ => None,
        }
    }

    /// The value, if JSON can hold it: a literal, or a list that failed to be a link.
    pub fn as_value(&self) -> Option<&Value> {
        match self {
            Self::Literal(value) | Self::Malformed(value) => Some(value),
            Self::Link(_) | Self::Opaque(_) => None,
        }
    }

    /// Reads the JSON form: `["id", 0]` is a link, any other bare list is malformed, the rest is a literal.
    ///
    /// A link's socket may be written as a float (`1.0`), as some clients do.
    pub fn from_json(value: Value) -> Self {
        match value {
            Value::Array(items) => match link_of(&items) {
                Some(link) => Self::Link(link),
                None => Self::Malformed(Arc::new(Value::Array(items))),
            },
            Value::Object(mut object) if object.len() == 1 => match object.remove(WRAP) {
                Some(list @ Value::Array(_)) => Self::literal(list),
                Some(other) => {
                    object.insert(WRAP.to_owned(), other);
                    Self::literal(Value::Object(object))
                }
                None => Self::literal(Value::Object(object)),
            },
            other => Self::literal(other),
        }
    }
}

fn link_of(items: &[Value]) -> Option<Link> {
    let [Value::String(node), socket] = items else { return None };
    Some(Link::new(node.as_str(), socket_of(socket)?))
}

/// A link's socket: a whole number, which may be written as a float.
pub(crate) fn socket_of(value: &Value) -> Option<usize> {
    let number = match value.as_u64() {
        Some(n) => n,
        None => value.as_f64().filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x < 4e9)? as u64,
    };
    usize::try_from(number).ok()
}

/// Payloads are equal when they are the same one.
impl PartialEq for Input {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Link(a), Self::Link(b)) => a == b,
            (Self::Literal(a), Self::Literal(b)) | (Self::Malformed(a), Self::Malformed(b)) => a == b,
            (Self::Opaque(a), Self::Opaque(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write!(f, "Link({link})"),
            Self::Literal(value) => write!(f, "Literal({value})"),
            Self::Opaque(_) => f.write_str("Opaque"),
            Self::Malformed(value) => write!(f, "Malformed({value})"),
        }
    }
}

impl From<Link> for Input {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}

impl From<Value> for Input {
    /// The value as a literal; a list stays a list. (`Input::from_json` reads the JSON form instead.)
    fn from(value: Value) -> Self {
        Self::literal(value)
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Link(link) => link.serialize(serializer),
            Self::Literal(list) if list.is_array() => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(WRAP, list)?;
                map.end()
            }
            Self::Literal(value) | Self::Malformed(value) => value.serialize(serializer),
            Self::Opaque(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(OPAQUE, &true)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_json)
    }
}
