//! Values: what travels over links. A closed enum for what JSON can say, one open door for payloads.
//!
//! Knows nothing of nodes, sockets or runs.

use std::fmt;
use std::sync::Arc;

use crate::value::object::Object;

/// One value on a link.
///
/// `Clone` is cheap: text, lists and payloads are shared.
#[derive(Clone, Default)]
pub enum Value {
    /// JSON `null`, Python's `None`.
    #[default]
    Null,
    /// A `BOOLEAN`.
    Bool(bool),
    /// An `INT`. Wide enough for every seed (`0..2⁶⁴`) and for sums and negatives of them.
    Int(i128),
    /// A `FLOAT`.
    Float(f64),
    /// A `STRING`.
    String(Arc<str>),
    /// A JSON list or dict that is passed through as it is.
    Json(Arc<serde_json::Value>),
    /// A payload: an image, a model, anything that implements [`Object`].
    Object(Arc<dyn Object>),
    /// "Do not run what depends on me."
    Blocker(Blocker),
}

/// Stops the nodes that would consume it. With a message the first of them reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocker {
    message: Option<Arc<str>>,
}

impl Blocker {
    /// A blocker that stops its consumers without a word.
    pub fn silent() -> Self {
        Self::default()
    }

    /// A blocker whose first consumer reports `message`.
    pub fn with_message(message: impl Into<Arc<str>>) -> Self {
        Self { message: Some(message.into()) }
    }

    /// The message, unless it was reported already or never given.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl Value {
    /// Wraps a payload.
    pub fn object(object: impl Object) -> Self {
        Self::Object(Arc::new(object))
    }

    /// The value that a JSON literal stands for.
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => Self::from_number(n),
            serde_json::Value::String(s) => Self::String(s.as_str().into()),
            number if let Some(number) = kiln_graph::non_finite(number) => Self::Float(number),
            list_or_dict => Self::Json(Arc::new(list_or_dict.clone())),
        }
    }

    fn from_number(number: &serde_json::Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(i), _) => Self::Int(i.into()),
            (None, Some(u)) => Self::Int(u.into()),
            (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    /// The JSON literal for this value; `None` for payloads, blockers and numbers that JSON cannot hold.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        match self {
            Self::Null => Some(serde_json::Value::Null),
            Self::Bool(b) => Some((*b).into()),
            Self::Int(i) => i64::try_from(*i).map(Into::into).or_else(|_| u64::try_from(*i).map(Into::into)).ok(),
            Self::Float(x) => serde_json::Number::from_f64(*x).map(Into::into),
            Self::String(s) => Some((**s).into()),
            Self::Json(j) => Some((**j).clone()),
            Self::Object(_) | Self::Blocker(_) => None,
        }
    }

    /// The socket type this value would be declared with: `"INT"`, `"IMAGE"`, …
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "BOOLEAN",
            Self::Int(_) => "INT",
            Self::Float(_) => "FLOAT",
            Self::String(_) => "STRING",
            Self::Json(_) => "JSON",
            Self::Object(object) => object.socket_type(),
            Self::Blocker(_) => "BLOCKER",
        }
    }

    /// Bytes this value holds on all devices together. Plain values count as nothing but their text.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Object(object) => object.bytes(),
            Self::String(text) => text.len() as u64,
            _ => 0,
        }
    }

    /// The payload as a `T`, when it is one.
    pub fn downcast_ref<T: Object>(&self) -> Option<&T> {
        if let Self::Object(object) = self { object.downcast_ref() } else { None }
    }

    /// The blocker, when it is one.
    pub fn as_blocker(&self) -> Option<&Blocker> {
        if let Self::Blocker(blocker) = self { Some(blocker) } else { None }
    }

    /// Python's truth: zero, empty text, empty lists and `None` are false, everything else is true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(x) => *x != 0.0,
            Self::String(s) => !s.is_empty(),
            Self::Json(json) => match &**json {
                serde_json::Value::Array(list) => !list.is_empty(),
                serde_json::Value::Object(dict) => !dict.is_empty(),
                other => Self::from_json(other).is_truthy(),
            },
            Self::Object(_) | Self::Blocker(_) => true,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Int(i) => write!(f, "{i}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::String(s) => write!(f, "{s:?}"),
            Self::Json(j) => write!(f, "{j}"),
            Self::Object(o) => write!(f, "<{} {} bytes>", o.socket_type(), o.bytes()),
            Self::Blocker(b) => write!(f, "<blocker {:?}>", b.message()),
        }
    }
}

/// Two values are equal when they say the same; payloads only when they are the same object.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b)),
            (Self::Blocker(a), Self::Blocker(b)) => a == b,
            _ => false,
        }
    }
}
