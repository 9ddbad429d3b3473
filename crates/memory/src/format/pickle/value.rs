//! What a pickle describes: values, containers, and objects by class and arguments. Nothing of it is made.

use super::class::Class;
use std::borrow::Cow;

/// A stretch of the pickle's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

/// One value: small things themselves, text and bytes by their place in the pickle, the rest by number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number beyond 64 bits, little-endian.
    Long(Span),
    Float(f64),
    Text(Span),
    Bytes(Span),
    Class(Class),
    /// A place in [`Pickle::objects`].
    Object(u32),
}

/// What has parts. Two values of one number are one object.
#[derive(Debug)]
pub(crate) enum Object {
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// What the file keeps outside of the pickle under this key.
    Persistent(Value),
    Made(Made),
}

/// An object that a class would make.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) class: Class,
    pub(crate) args: Vec<Value>,
    pub(crate) state: Value,
    /// The byte of the pickle at which it is made.
    pub(crate) at: u32,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) objects: Vec<Object>,
    pub(super) root: Value,
}

impl Pickle<'_> {
    /// What the whole describes.
    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All objects, also those that the root doesn't lead to.
    pub(crate) fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object behind a value.
    pub(crate) fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(number) => self.objects.get(number as usize),
            _ => None,
        }
    }

    /// The bytes of a text, of bytes, or of a long number.
    pub(crate) fn bytes(&self, value: Value) -> Option<&[u8]> {
        match value {
            Value::Text(span) | Value::Bytes(span) | Value::Long(span) => {
                self.bytes.get(span.start as usize..(span.start + span.len) as usize)
            }
            _ => None,
        }
    }

    /// A text; Python 2 wrote them as bytes.
    pub(crate) fn text(&self, value: Value) -> Option<Cow<'_, str>> {
        match value {
            Value::Text(_) | Value::Bytes(_) => self.bytes(value).map(String::from_utf8_lossy),
            _ => None,
        }
    }

    /// The values of a tuple or list.
    pub(crate) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.object(value) {
            Some(Object::Tuple(values) | Object::List(values)) => Some(values),
            _ => None,
        }
    }

    /// The entries of a dict, in its order.
    pub(crate) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value) {
            Some(Object::Dict(entries)) => Some(entries),
            _ => None,
        }
    }
}
