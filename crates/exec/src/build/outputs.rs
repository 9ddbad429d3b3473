//! Outputs: what a node's return type says about its sockets, and how a returned value fills them.
//!
//! Knows types only; where the values go is the run's business.

use kiln_graph::{NodeId, OutputDef};

use crate::build::handle::{Out, Source};
use crate::value::{IntoValue, List, Values};

/// One output socket: a value, or a whole list of them.
pub trait OutputSlot {
    /// The socket kind for compile-time link checks.
    type Kind;
    /// The socket type as text.
    const TYPE: &'static str;
    /// `OUTPUT_IS_LIST`.
    const LIST: bool;
    /// What goes on the socket.
    fn into_values(self) -> Values;
}

impl<T: IntoValue> OutputSlot for T {
    type Kind = T::Kind;
    const TYPE: &'static str = T::TYPE;
    const LIST: bool = false;
    fn into_values(self) -> Values {
        Values::One(self.into_value())
    }
}

impl<T: IntoValue> OutputSlot for List<T> {
    type Kind = T::Kind;
    const TYPE: &'static str = T::TYPE;
    const LIST: bool = true;
    fn into_values(self) -> Values {
        self.0.into_iter().map(IntoValue::into_value).collect()
    }
}

/// Everything a node returns: nothing, one socket, or a tuple of up to ten.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something a node can return",
    note = "return `()`, one payload, number or text, a `List<T>`, or a tuple of up to ten of them;\n\
            payload types get there with `kiln_exec::object!`"
)]
pub trait Outputs: Sized {
    /// What `GraphBuilder::add` gives for a node with these outputs.
    type Handles: Handles;
    /// Definitions in socket order, named after their types.
    fn defs() -> Vec<OutputDef>;
    /// Handles onto the sockets of `node`.
    fn handles(node: &NodeId) -> Self::Handles;
    /// Appends what each socket carries.
    fn write(self, into: &mut Vec<Values>);
}

/// The handles of one node as a list, for use as the result of an expansion.
pub trait Handles {
    /// Links (or values) in socket order.
    fn sources(self) -> Vec<Source>;
}

fn def<T: OutputSlot>() -> OutputDef {
    OutputDef { is_list: T::LIST, ..OutputDef::new(T::TYPE) }
}

impl Outputs for () {
    type Handles = ();
    fn defs() -> Vec<OutputDef> {
        Vec::new()
    }
    fn handles(_: &NodeId) {}
    fn write(self, _: &mut Vec<Values>) {}
}
impl Handles for () {
    fn sources(self) -> Vec<Source> {
        Vec::new()
    }
}

impl<T: OutputSlot> Outputs for T {
    type Handles = Out<T::Kind>;
    fn defs() -> Vec<OutputDef> {
        vec![def::<T>()]
    }
    fn handles(node: &NodeId) -> Self::Handles {
        Out::link(node, 0)
    }
    fn write(self, into: &mut Vec<Values>) {
        into.push(self.into_values());
    }
}
impl<K> Handles for Out<K> {
    fn sources(self) -> Vec<Source> {
        vec![self.into_source()]
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+))*) => {$(
        impl<$($t),+> Handles for ($(Out<$t>,)+) {
            fn sources(self) -> Vec<Source> {
                vec![$(self.$i.into_source()),+]
            }
        }
        impl<$($t: OutputSlot),+> Outputs for ($($t,)+) {
            type Handles = ($(Out<$t::Kind>,)+);
            fn defs() -> Vec<OutputDef> {
                vec![$(def::<$t>()),+]
            }
            fn handles(node: &NodeId) -> Self::Handles {
                ($(Out::link(node, $i),)+)
            }
            fn write(self, into: &mut Vec<Values>) {
                $(into.push(self.$i.into_values());)+
            }
        }
    )*};
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9)
}
