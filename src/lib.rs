//! Kiln runs ComfyUI's node graphs, in Rust: graphs that expand, loop and skip work while they run, over models
//! larger than the memory they run in.
//!
//! This crate is the front door; each room is a crate of its own:
//!
//! | module | what |
//! |---|---|
//! | [`graph`] | prompts and workflows as data, node definitions, validation |
//! | [`exec`] | the engine: scheduling, lifetimes of outputs, cache, events, cancel |
//! | [`memory`] | mapped weight files, budgets, paging |
//! | [`models`] | text encoders, UNets, autoencoders, samplers |
//! | [`nodes`] | ComfyUI's nodes on top of these |
//! | `testing_nodes` | with the feature of that name: the nodes of ComfyUI's own execution tests |
//!
//! `cargo run --release --example workflow` draws a picture with all of it; `examples/embed.rs` puts the engine into
//! an app of yours.

pub use kiln_exec as exec;
pub use kiln_graph as graph;
pub use kiln_memory as memory;
pub use kiln_models as models;
pub use kiln_nodes as nodes;
#[cfg(feature = "testing-nodes")]
pub use kiln_testing_nodes as testing_nodes;
