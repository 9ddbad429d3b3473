//! The type of a socket: a name, or a list of choices. Knows which types may be linked.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// What a socket carries.
#[derive(Clone, Debug, PartialEq)]
pub enum SocketType {
    /// A type name (`IMAGE`), any type (`*`), or several with commas (`IMAGE,MASK`). `COMBO` has its choices in the
    /// input's options.
    Named(Arc<str>),
    /// Choices standing in the type's place, as older classes declare them.
    Combo(Arc<[Value]>),
}

impl SocketType {
    /// A choice among these texts.
    pub fn combo<S: AsRef<str>>(choices: impl IntoIterator<Item = S>) -> Self {
        Self::Combo(choices.into_iter().map(|c| Value::from(c.as_ref())).collect())
    }

    /// The type's name; `None` for a list of choices.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Combo(_) => None,
        }
    }

    /// Whether this is the type of that name.
    pub fn is(&self, name: &str) -> bool {
        self.name() == Some(name)
    }

    /// Whether an output of this type may be linked into an input of type `wanted` (ComfyUI 2026).
    ///
    /// Equal types match; `*` and `COMFY_MATCHTYPE_V3` match everything; a list of choices goes into `COMBO`; names
    /// with commas match when they share a member. Nothing is widened: `INT` does not go into `FLOAT`.
    pub fn links_into(&self, wanted: &Self) -> bool {
        if self == wanted {
            return true;
        }
        let any = |t: &Self| t.is("*") || t.is("COMFY_MATCHTYPE_V3");
        if any(self) || any(wanted) {
            return true;
        }
        match (self, wanted) {
            (Self::Combo(_), Self::Named(wanted)) => &**wanted == "COMBO",
            (Self::Named(received), Self::Named(wanted)) => share_a_member(received, wanted),
            _ => false,
        }
    }
}

fn share_a_member(received: &str, wanted: &str) -> bool {
    let members = |text: &str, name: &str| text.split(',').any(|m| m.trim() == name);
    members(received, "*") || members(wanted, "*") || received.split(',').any(|m| members(wanted, m.trim()))
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Combo(choices) => crate::python::list(f, choices),
        }
    }
}

impl From<&str> for SocketType {
    fn from(name: &str) -> Self {
        Self::Named(name.into())
    }
}

impl From<String> for SocketType {
    fn from(name: String) -> Self {
        Self::Named(name.into())
    }
}

impl From<Arc<str>> for SocketType {
    fn from(name: Arc<str>) -> Self {
        Self::Named(name)
    }
}

impl Serialize for SocketType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(name) => name.serialize(serializer),
            Self::Combo(choices) => choices.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SocketType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(name) => Ok(Self::Named(name.into())),
            Value::Array(choices) => Ok(Self::Combo(choices.into())),
            _ => Err(serde::de::Error::custom("a socket type is a name or a list of choices")),
        }
    }
}
