//! Runs graphs that grow while they run: scheduling, lifetimes of outputs, cache, lanes, events, cancellation.
//!
//! A node is a struct: its fields are the inputs, its doc comments the texts that users see. The same struct is the
//! typed builder. An [`Engine`] runs prompts made of such nodes, or of [`DynNode`]s, and reports what happens as
//! [`Event`]s.
//!
//! | noun | where |
//! |---|---|
//! | what travels over links | [`Value`], [`Object`], [`Values`] (every socket holds a list) |
//! | what a field of a node may be | [`Socket`]: `T`, `Option<T>`, [`List<T>`](List), [`Lazy<T>`](Lazy), [`RawLink<T>`](RawLink), [`Extras`], [`UniqueId`] … |
//! | what a node may return | values, [`Outcome::Expand`], [`Outcome::Block`], [`OrBlock`] per output, [`WithUi`] |
//! | what a call knows of its run | [`Cx`]: progress, cancel, expansion, the [`Host`] |
//! | what a run may be told | [`RunOptions`]: retention, late edges, order, failures |
//! | what stays from prompt to prompt | [`CachePolicy`] |
//!
//! # How a run goes
//! One thread decides everything. Nodes are numbers in an arena, edges stand in flat lists, and an edge exists exactly
//! as long as its reader may still run: that is what reference counts count, per output socket. A node out of an
//! expansion joins the same arena; when nothing refers to it any more its slot is used again, so that a loop by
//! expansion needs no memory per iteration. Nodes run on the deciding thread itself, unless they name a [`Lane`] or
//! wait as futures.
//!
//! # Features
//! None is on by default, and no app needs one. `testing`: what tests of engines use, above all a cache that loses entries
//! at every turn (`RunOptions::adversary`). `shuttle`: threads and locks that try out interleavings, for this crate's own
//! tests.
//!
//! # Example
//! A lazy node, an expanding node and a run:
//! ```
//! use kiln_exec::*;
//!
//! /// Passes on one of two numbers; the other is not even computed.
//! #[derive(Node)]
//! struct Choose {
//!     first: bool,
//!     a: Lazy<i64>,
//!     b: Lazy<i64>,
//! }
//! impl Execute for Choose {
//!     type Output = i64;
//!     fn needs(&self) -> Vec<&'static str> {
//!         vec![if self.first { "a" } else { "b" }]
//!     }
//!     fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
//!         if self.first { self.a.get() } else { self.b.get() }
//!     }
//! }
//!
//! /// Adds one, `times` times, by returning a graph.
//! #[derive(Node)]
//! struct Count {
//!     from: i64,
//!     #[input(min = 0, default = 3)]
//!     times: u32,
//! }
//! impl Execute for Count {
//!     type Output = Outcome<i64>;
//!     fn execute(self, cx: &mut Cx) -> Result<Outcome<i64>, NodeError> {
//!         if self.times == 0 {
//!             return Ok(Outcome::Done(self.from));
//!         }
//!         Ok(cx.expand(|g| g.add(Count::node().from(self.from + 1).times(self.times - 1))))
//!     }
//! }
//!
//! /// Shows a number.
//! #[derive(Node)]
//! #[node(output_node, category = "example")]
//! struct Show {
//!     value: i64,
//! }
//! impl Execute for Show {
//!     type Output = WithUi<()>;
//!     fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
//!         Ok(WithUi { outcome: (), ui: Ui::new().with("value", self.value) })
//!     }
//! }
//!
//! let engine = Engine::new(Registry::new().with::<Choose>().with::<Count>().with::<Show>());
//! let g = GraphBuilder::new();
//! let seven = g.add(Count::node().from(4).times(3));
//! let never = g.add(Count::node().from(0).times(1_000_000));
//! g.add_as("show", Show::node().value(g.add(Choose::node().first(true).a(seven).b(never))));
//!
//! let report = engine.run(g.into_prompt())?;
//! assert_eq!(report.ui("show").and_then(|ui| ui.get("value")), Some(&[json!(7)][..]));
//! # Ok::<(), RunError>(())
//! ```

#![forbid(unsafe_code)]

mod build;
mod cache;
mod cancel;
mod codec;
mod engine;
mod error;
mod host;
#[cfg(test)]
mod interleavings;
mod lanes;
mod node;
mod observe;
mod run;
mod spill;
mod store;
mod sync;
mod value;

/// The crate of prompts and definitions, for derived code.
pub use kiln_graph as graph;
pub use kiln_graph::{Link, NodeDef, NodeId, Prompt};
pub use kiln_macros::Node;
pub use serde_json::json;

pub use build::{GraphBuilder, Handles, IntoArg, NodeSpec, Out, OutputSlot, Outputs, Source, TypedNode};
pub use cache::{AvailableMemory, CacheItem, CachePolicy, CacheProvider, CachedResult, Key};
pub use cancel::Cancel;
pub use codec::{CodecError, Codecs, Decoder, Encoder, PayloadCodec};
#[cfg(feature = "testing")]
pub use engine::Adversary;
pub use engine::{
    AbandonedCall, Engine, EngineBuilder, InputReport, KeptResults, LateEdges, NodeOutput, OnFailure, Order, Report,
    RunError, RunObserver, RunOptions, Summary, WhenBusy,
};
pub use error::{ErrorKind, NodeError};
pub use host::Host;
pub use node::{
    Answer, Arg, Args, Behaviour, Class, ConstantInputs, Cx, DynNode, DynReply, Execute, ExecuteAsync, Expansion,
    ExtraPngInfo, Extras, Fingerprint, HiddenValue, IntoOutcome, Lane, Lazy, LivePrompt, NodeClass, NodeView, Outcome,
    Passes, Produced, Progress, Provided, RawLink, Registry, Resources, Schedule, Socket, SubmittedPrompt, Ui,
    UniqueId, WithUi, declare,
};
pub use observe::{
    ErrorEvent, Event, Explanation, Listener, NodeProgress, NodeState, Preview, Reason, Step, Trace, What,
};
pub use run::{EventStream, Run, RunFuture};
pub use spill::{FileSpill, Spill, Spilled};
pub use store::Retention;
pub use value::{Any, Blocker, Combo, FromValue, IntoValue, LinksInto, List, Object, OrBlock, Value, Values, kind};
