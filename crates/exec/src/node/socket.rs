//! Input sockets: what a field type of a node struct means. `T`, `Option<T>`, `List<T>`, `Lazy<T>`, a raw link, the rest.
//!
//! A socket declares its input and decodes its argument, nothing else.

use std::marker::PhantomData;
use std::sync::Arc;

use kiln_graph::{InputDef, Link, NodeDef};

use crate::error::NodeError;
use crate::node::args::{Arg, Args};
use crate::node::hidden::{ExtraPngInfo, HiddenValue, LivePrompt, SubmittedPrompt, UniqueId};
use crate::node::schedule::Schedule;
use crate::value::{FromValue, List, Value, Values, kind};

/// A field type of a node struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input of a node",
    note = "use a number, `bool`, `String`, `Combo`, `Any`, a payload (see `kiln_exec::object!`), or `Option<…>`, \
            `List<…>`, `Lazy<…>`, `RawLink<…>` of one of them"
)]
pub trait Socket: Sized {
    /// What a link into this socket must carry.
    type Kind;
    /// The input's definition; `None` for fields that are no declared input.
    fn declare(name: &str) -> Option<InputDef>;
    /// Decodes the argument.
    ///
    /// # Errors
    /// When a required argument is missing, or is of another type.
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError>;
}

impl Args {
    /// Takes the input `name` as the type that the node wants there.
    ///
    /// # Errors
    /// When a required input is missing, or its value is of another type.
    pub fn take<S: Socket>(&mut self, name: &str) -> Result<S, NodeError> {
        S::take(self, name)
    }
}

/// Adds the input that a field stands for. `refine` applies the field's attributes.
pub fn declare<S: Socket>(mut def: NodeDef, name: &str, refine: impl FnOnce(InputDef) -> InputDef) -> NodeDef {
    if let Some(input) = S::declare(name).map(refine) {
        def.input_is_list |= input.is_list;
        def.inputs.push(input);
    }
    def
}

/// Computed only when the node's `needs` names it.
#[derive(Clone, Debug)]
pub struct Lazy<T> {
    value: Option<T>,
    name: Arc<str>,
}
impl<T> Lazy<T> {
    /// Whether it has not been computed (yet).
    pub fn is_missing(&self) -> bool {
        self.value.is_none()
    }
    /// The value, when it was computed.
    pub fn as_ref(&self) -> Option<&T> {
        self.value.as_ref()
    }
    /// The value, when it was computed.
    pub fn into_option(self) -> Option<T> {
        self.value
    }
    /// The value.
    ///
    /// # Errors
    /// When `needs` never named it.
    pub fn get(self) -> Result<T, NodeError> {
        let name = self.name;
        self.value.ok_or_else(|| NodeError::new(format!("lazy input `{name}` was never asked for; name it in `needs`")))
    }
}

/// The link itself instead of what it leads to. The source still runs first.
#[derive(Clone, Debug)]
pub struct RawLink<T> {
    link: Link,
    carries: PhantomData<fn() -> T>,
}
impl<T> RawLink<T> {
    /// Where the link points.
    pub fn link(&self) -> &Link {
        &self.link
    }
}

/// Inputs that the class does not declare: links always, literals when the class accepts all inputs.
#[derive(Clone, Debug, Default)]
pub struct Extras(pub Vec<(Arc<str>, Values)>);

impl Extras {
    /// The first value of the input `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(extra, _)| &**extra == name)?.1.at(0)
    }
}

fn convert<T: FromValue>(name: &str, value: Value) -> Result<T, NodeError> {
    T::from_value(value).map_err(|found| NodeError::wrong_type(name, T::TYPE, &found))
}

/// The one value of an argument; the first where the node gets whole lists.
fn one(args: &mut Args, name: &str) -> Option<Value> {
    match args.take_arg(name) {
        Arg::Values(Values::One(value)) => Some(value),
        Arg::Values(Values::Many(values)) => values.first().cloned(),
        _ => None,
    }
}

fn all<T: FromValue>(args: &mut Args, name: &str) -> Result<Option<List<T>>, NodeError> {
    let Arg::Values(values) = args.take_arg(name) else { return Ok(None) };
    values.iter().map(|value| convert(name, value.clone())).collect::<Result<_, _>>().map(|list| Some(List(list)))
}

fn raw<T>(args: &mut Args, name: &str) -> Option<RawLink<T>> {
    let Arg::Link(link) = args.take_arg(name) else { return None };
    Some(RawLink { link, carries: PhantomData })
}

impl<T: FromValue> Socket for T {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        Some(InputDef::new(name, T::TYPE))
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        one(args, name).ok_or_else(|| NodeError::missing(name)).and_then(|value| convert(name, value))
    }
}

/// Absent and `null` are both `None`.
impl<T: FromValue> Socket for Option<T> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        T::declare(name).map(InputDef::optional)
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        match one(args, name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => convert(name, value).map(Some),
        }
    }
}

impl<T: FromValue> Socket for List<T> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        T::declare(name).map(|input| InputDef { is_list: true, ..input })
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        all(args, name)?.ok_or_else(|| NodeError::missing(name))
    }
}

impl<T: FromValue> Socket for Option<List<T>> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        List::<T>::declare(name).map(InputDef::optional)
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        all(args, name)
    }
}

impl<T: FromValue> Socket for Lazy<T> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        T::declare(name).map(InputDef::lazy)
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        let value = one(args, name).map(|value| convert(name, value)).transpose()?;
        Ok(Self { value, name: name.into() })
    }
}

impl<T: FromValue> Socket for RawLink<T> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        T::declare(name).map(InputDef::raw_link)
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        raw(args, name).ok_or_else(|| NodeError::missing(name))
    }
}

impl<T: FromValue> Socket for Option<RawLink<T>> {
    type Kind = T::Kind;
    fn declare(name: &str) -> Option<InputDef> {
        RawLink::<T>::declare(name).map(InputDef::optional)
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        Ok(raw(args, name))
    }
}

impl Socket for Extras {
    type Kind = crate::value::kind::Hidden;
    fn declare(_: &str) -> Option<InputDef> {
        None
    }
    fn take(args: &mut Args, _: &str) -> Result<Self, NodeError> {
        Ok(Self(std::mem::take(&mut args.extras)))
    }
}

macro_rules! hidden {
    ($($field:ident($type:literal): $variant:ident;)*) => {$(
        impl Socket for $field {
            type Kind = kind::Hidden;
            fn declare(name: &str) -> Option<InputDef> {
                Some(InputDef::new(name, $type).hidden())
            }
            fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
                match args.take_arg(name) {
                    Arg::Hidden(HiddenValue::$variant(value)) => Ok(Self(value)),
                    _ => Err(NodeError::missing(name)),
                }
            }
        }
    )*};
}
hidden! {
    UniqueId("UNIQUE_ID"): UniqueId;
    SubmittedPrompt("PROMPT"): Prompt;
    LivePrompt("DYNPROMPT"): Live;
    ExtraPngInfo("EXTRA_PNGINFO"): ExtraPngInfo;
}

impl Socket for Schedule {
    type Kind = kind::Hidden;
    fn declare(name: &str) -> Option<InputDef> {
        Some(InputDef::new(name, "EXECUTION_LIST").hidden())
    }
    fn take(args: &mut Args, name: &str) -> Result<Self, NodeError> {
        match args.take_arg(name) {
            Arg::Hidden(HiddenValue::Schedule(schedule)) => Ok(schedule),
            _ => Err(NodeError::missing(name)),
        }
    }
}
