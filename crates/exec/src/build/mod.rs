//! The typed graph: nodes are structs, links are values, a wrong link does not compile.
//!
//! Knows how prompts are written, nothing of how they run.

mod graph_builder;
mod handle;
mod outputs;

pub use self::graph_builder::{GraphBuilder, NodeSpec, TypedNode};
pub use self::handle::{IntoArg, Out, Source};
pub use self::outputs::{Handles, OutputSlot, Outputs};
