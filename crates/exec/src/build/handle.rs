//! Handles: what stands for an input's content while a graph is written. A link with a type, or a value in its place.
//!
//! Knows no graph: which node a link comes from is only a name here.

use std::marker::PhantomData;
use std::sync::Arc;

use kiln_graph::{Input, Link, NodeId};

use crate::value::kind::{self, Any, Boolean, Combo, Float, Int, LinksInto, Text};
use crate::value::{Value, Values};

/// Where an output of an expansion, or an input of a node, comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// An output of some node.
    Link(Link),
    /// Values that are known now.
    Values(Values),
}

impl From<Link> for Source {
    fn from(link: Link) -> Self {
        Self::Link(link)
    }
}
impl From<Value> for Source {
    fn from(value: Value) -> Self {
        Self::Values(value.into())
    }
}
impl From<Values> for Source {
    fn from(values: Values) -> Self {
        Self::Values(values)
    }
}
impl From<Source> for Input {
    /// Plain values become literals, so that equal ones are equal; payloads travel as they are.
    fn from(source: Source) -> Self {
        match source {
            Source::Link(link) => Self::Link(link),
            Source::Values(Values::One(value)) => match value.to_json() {
                Some(json) => Self::literal(json),
                None => Self::Opaque(Arc::new(Values::One(value))),
            },
            Source::Values(many) => Self::Opaque(Arc::new(many)),
        }
    }
}

/// A typed handle: an output of a node, or a value that stands for one.
#[derive(Debug)]
pub struct Out<K> {
    source: Source,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Out<K> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), kind: PhantomData }
    }
}

impl<K> Out<K> {
    /// Output `socket` of `node`, taken to be of this kind.
    pub fn link(node: &NodeId, socket: usize) -> Self {
        Self { source: Source::Link(Link::new(node, socket)), kind: PhantomData }
    }

    /// A value in place of a link.
    pub fn value(value: impl Into<Values>) -> Self {
        Self { source: Source::Values(value.into()), kind: PhantomData }
    }

    /// The untyped form.
    pub fn into_source(self) -> Source {
        self.source
    }

    /// The link, unless it is a value.
    pub fn as_link(&self) -> Option<&Link> {
        if let Source::Link(link) = &self.source { Some(link) } else { None }
    }

    /// The same handle for sockets of any type.
    pub fn any(self) -> Out<kind::Any> {
        Out { source: self.source, kind: PhantomData }
    }
}

/// Everything that can be put into an input of kind `K`: a link that carries it, or a literal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put into an input of kind `{K}`",
    note = "give a literal of that kind, or an output handle that `GraphBuilder::add` returned"
)]
pub trait IntoArg<K> {
    /// The input's content.
    fn into_arg(self) -> Out<K>;
}
impl<S: LinksInto<K>, K> IntoArg<K> for Out<S> {
    fn into_arg(self) -> Out<K> {
        Out { source: self.source, kind: PhantomData }
    }
}
impl<S: LinksInto<K>, K> IntoArg<K> for &Out<S> {
    fn into_arg(self) -> Out<K> {
        self.clone().into_arg()
    }
}

macro_rules! literals {
    ($($kind:ty: $($literal:ty => $value:expr),+;)*) => {$($(
        impl IntoArg<$kind> for $literal {
            fn into_arg(self) -> Out<$kind> {
                let value: fn($literal) -> Value = $value;
                Out::value(value(self))
            }
        }
    )+)*};
}
literals! {
    Int: i32 => |i| Value::Int(i.into()), i64 => |i| Value::Int(i.into()), u8 => |i| Value::Int(i.into()),
         u32 => |i| Value::Int(i.into()), u64 => |i| Value::Int(i.into()), usize => |i| Value::Int(i as i128),
         i128 => Value::Int;
    Float: f64 => Value::Float, f32 => |x| Value::Float(x.into()), i32 => |i| Value::Float(i.into());
    Boolean: bool => Value::Bool;
    Text: &str => |s| Value::String(s.into()), String => |s| Value::String(s.into());
    Combo: &str => |s| Value::String(s.into()), String => |s| Value::String(s.into());
    Any: i32 => |i| Value::Int(i.into()), i64 => |i| Value::Int(i.into()), f64 => Value::Float, bool => Value::Bool,
         &str => |s| Value::String(s.into()), String => |s| Value::String(s.into()), Value => |v| v;
}
