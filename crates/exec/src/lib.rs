//! Runs graphs that grow while they run: scheduling, lifetimes of outputs, cache, lanes, events, cancellation.

#![forbid(unsafe_code)]

mod args;
mod builder;
mod cancel;
mod convert;
mod cx;
mod dynamic;
mod error;
mod event;
mod hidden;
mod host;
pub mod kind;
mod known;
mod node;
mod object;
mod outcome;
mod outputs;
mod registry;
mod socket;
mod spill;
mod sync;
mod ui;
mod value;
mod values;

/// The crate of prompts and definitions, for derived code.
pub use kiln_graph as graph;
pub use kiln_graph::{Link, NodeDef, NodeId, Prompt};
pub use kiln_macros::Node;
pub use serde_json::json;

pub use args::{Arg, Args};
pub use builder::{Draft, GraphBuilder, IntoArg, Out, Reply, TypedNode};
pub use cancel::Cancel;
pub use convert::{Any, Combo, FromValue, IntoValue, OrBlock};
pub use cx::{Cx, Progress};
pub use dynamic::{DynNode, DynReply};
pub use error::{ErrorKind, InputReport, NodeError, RunError};
pub use event::{ErrorEvent, Event, Listener, NodeProgress, NodeState, Preview};
pub use hidden::{ExtraPngInfo, HiddenValue, LivePrompt, SubmittedPrompt, UniqueId};
pub use host::Host;
pub use kind::LinksInto;
pub use known::{Fingerprint, Known};
pub use node::{Behaviour, Execute, ExecuteAsync, Lane, NodeClass};
pub use object::Object;
pub use outcome::{Answer, Expansion, IntoOutcome, Outcome, Produced, WithUi};
pub use outputs::{Handles, OutputSlot, Outputs};
pub use registry::{Class, Registry};
pub use socket::{Extras, Lazy, List, RawLink, Socket, declare};
pub use spill::{FileSpill, Restore, Spill, Spillable, Spilled};
pub use ui::Ui;
pub use value::{Blocker, Value};
pub use values::Values;
