//! Conversions between values and the Rust types that nodes are written with.
//!
//! Every conversion is exact or refused: a number that does not fit is an error of the node that asked for it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::value::kind;
use crate::value::single::{Blocker, Value};

/// A Rust type that one value on a link can be turned into.
pub trait FromValue: Sized {
    /// The socket kind for compile-time link checks.
    type Kind;
    /// The socket type as text: `"INT"`, `"IMAGE"`, …
    const TYPE: &'static str;
    /// Converts, or hands the value back.
    ///
    /// # Errors
    /// The value itself when it is of another type or does not fit.
    fn from_value(value: Value) -> Result<Self, Value>;
}

/// A Rust type that can be put on a link.
pub trait IntoValue {
    /// The socket kind for compile-time link checks.
    type Kind;
    /// The socket type as text.
    const TYPE: &'static str;
    /// Converts.
    fn into_value(self) -> Value;
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl FromValue for $int {
            type Kind = kind::Int;
            const TYPE: &'static str = "INT";
            fn from_value(value: Value) -> Result<Self, Value> {
                match value {
                    Value::Int(i) => <$int>::try_from(i).map_err(|_| Value::Int(i)),
                    Value::Bool(b) => Ok(<$int>::from(b)),
                    other => Err(other),
                }
            }
        }
        impl IntoValue for $int {
            type Kind = kind::Int;
            const TYPE: &'static str = "INT";
            fn into_value(self) -> Value {
                // No integer type below is wider than 128 bits; `as` only widens here.
                Value::Int(self as i128)
            }
        }
    )*};
}
integers!(i32, i64, i128, u8, u16, u32, u64, usize);

macro_rules! floats {
    ($($float:ty),*) => {$(
        impl FromValue for $float {
            type Kind = kind::Float;
            const TYPE: &'static str = "FLOAT";
            fn from_value(value: Value) -> Result<Self, Value> {
                match value {
                    Value::Float(x) => Ok(x as $float),
                    Value::Int(i) => Ok(i as $float),
                    other => Err(other),
                }
            }
        }
        impl IntoValue for $float {
            type Kind = kind::Float;
            const TYPE: &'static str = "FLOAT";
            fn into_value(self) -> Value {
                Value::Float(self.into())
            }
        }
    )*};
}
floats!(f32, f64);

impl FromValue for bool {
    type Kind = kind::Boolean;
    const TYPE: &'static str = "BOOLEAN";
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::Bool(b) => Ok(b),
            Value::Int(i) => Ok(i != 0),
            other => Err(other),
        }
    }
}
impl IntoValue for bool {
    type Kind = kind::Boolean;
    const TYPE: &'static str = "BOOLEAN";
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
}

macro_rules! texts {
    ($($text:ty: |$s:ident| $from:expr, |$own:ident| $into:expr;)*) => {$(
        impl FromValue for $text {
            type Kind = kind::Text;
            const TYPE: &'static str = "STRING";
            fn from_value(value: Value) -> Result<Self, Value> {
                if let Value::String($s) = value { Ok($from) } else { Err(value) }
            }
        }
        impl IntoValue for $text {
            type Kind = kind::Text;
            const TYPE: &'static str = "STRING";
            fn into_value(self) -> Value {
                let $own = self;
                Value::String($into)
            }
        }
    )*};
}
texts! {
    String: |s| s.to_string(), |own| own.into();
    Arc<str>: |s| s, |own| own;
    PathBuf: |s| PathBuf::from(&*s), |own| own.to_string_lossy().into();
}

/// A word out of a list of options; its socket type is `COMBO`.
///
/// ```
/// # use kiln_exec::{Combo, FromValue, Value};
/// let word = Combo::from_value(Value::String("euler".into()));
/// assert_eq!(word.unwrap().as_str(), "euler");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combo(Arc<str>);

impl Combo {
    /// The chosen word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl std::ops::Deref for Combo {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}
impl From<&str> for Combo {
    fn from(word: &str) -> Self {
        Self(word.into())
    }
}
impl FromValue for Combo {
    type Kind = kind::Combo;
    const TYPE: &'static str = "COMBO";
    fn from_value(value: Value) -> Result<Self, Value> {
        match value {
            Value::String(word) => Ok(Self(word)),
            // Options may be numbers; they are compared and passed as their text.
            Value::Int(i) => Ok(Self(i.to_string().into())),
            Value::Float(x) => Ok(Self(x.to_string().into())),
            other => Err(other),
        }
    }
}
impl IntoValue for Combo {
    type Kind = kind::Combo;
    const TYPE: &'static str = "COMBO";
    fn into_value(self) -> Value {
        Value::String(self.0)
    }
}

/// A value of any type: the `*` socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Any(pub Value);

impl FromValue for Any {
    type Kind = kind::Any;
    const TYPE: &'static str = "*";
    fn from_value(value: Value) -> Result<Self, Value> {
        Ok(Self(value))
    }
}
impl IntoValue for Any {
    type Kind = kind::Any;
    const TYPE: &'static str = "*";
    fn into_value(self) -> Value {
        self.0
    }
}
impl IntoValue for Value {
    type Kind = kind::Any;
    const TYPE: &'static str = "*";
    fn into_value(self) -> Value {
        self
    }
}

/// An output without a value is `null` on the link.
impl<T: IntoValue> IntoValue for Option<T> {
    type Kind = T::Kind;
    const TYPE: &'static str = T::TYPE;
    fn into_value(self) -> Value {
        self.map_or(Value::Null, IntoValue::into_value)
    }
}

/// An output that blocks its consumers instead of feeding them, decided per output and per element.
#[derive(Clone, Debug)]
pub enum OrBlock<T> {
    /// A value like any other.
    Value(T),
    /// A blocker in its place.
    Block(Blocker),
}
impl<T> OrBlock<T> {
    /// Blocks without a message.
    pub fn silent() -> Self {
        Self::Block(Blocker::silent())
    }
    /// Blocks; the first consumer reports `message`.
    pub fn with_message(message: impl Into<Arc<str>>) -> Self {
        Self::Block(Blocker::with_message(message))
    }
}
impl<T: IntoValue> IntoValue for OrBlock<T> {
    type Kind = T::Kind;
    const TYPE: &'static str = T::TYPE;
    fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value.into_value(),
            Self::Block(blocker) => Value::Blocker(blocker),
        }
    }
}

/// The whole list on a socket, in or out.
///
/// One `List` among a node's inputs makes all of them whole lists (`INPUT_IS_LIST`); plain fields then get the first
/// element.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List<T>(pub Vec<T>);

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}
impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}
impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
impl<T> std::ops::Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}
