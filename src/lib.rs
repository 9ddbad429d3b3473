//! Kiln runs ComfyUI's node graphs, in Rust: graphs that expand, loop and skip work while they run, over models
//! larger than the memory they run in.
//!
//! Three ways in:
//!
//! # Embed: an engine for nodes of one's own
//! A node is a struct: its fields are the inputs, its doc comments the texts that people see. Payloads are types of the
//! app ([`exec::object!`]). This needs no model and no burn: `kiln = { version = "0.1", default-features = false }`.
//! ```
//! use kiln::exec::{Cx, Engine, Execute, GraphBuilder, Node, NodeError, Registry, Ui, WithUi};
//!
//! /// Repeats a word.
//! #[derive(Node)]
//! #[node(output_node)]
//! struct Repeat {
//!     word: String,
//!     /// How often.
//!     #[input(min = 1, max = 9, default = 2)]
//!     times: u32,
//! }
//! impl Execute for Repeat {
//!     type Output = WithUi<()>;
//!     fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
//!         let text = self.word.repeat(self.times as usize);
//!         Ok(WithUi { outcome: (), ui: Ui::new().with("text", text) })
//!     }
//! }
//!
//! let engine = Engine::new(Registry::new().with::<Repeat>());
//! let graph = GraphBuilder::new();
//! graph.add_as("twice", Repeat::node().word("kiln").times(2));
//! let report = engine.run(graph.into_prompt())?;
//! assert_eq!(report.ui("twice").unwrap().get("text").unwrap(), ["kilnkiln"]);
//! # Ok::<(), kiln::exec::RunError>(())
//! ```
//! Then: [`exec`] for lazy inputs, expansion, nodes that wait, the cache; [`exec::Run`] for events and a cancel;
//! [`memory`] for budgets that name who holds what.
//!
//! # Add nodes: one's own among ComfyUI's
//! The registry of ComfyUI's nodes takes more; the [payloads](kiln_nodes::payload) are tensors of [`burn`], which is here
//! in the version that they are made of.
#![cfg_attr(feature = "nodes", doc = "```")]
#![cfg_attr(not(feature = "nodes"), doc = "```ignore")]
//! use kiln::exec::{Cx, Execute, GraphBuilder, Node, NodeError};
//! use kiln::nodes::{Environment, Image, SaveImage, Session, files::Folders, image::EmptyImage};
//!
//! /// Turns an image into its negative.
//! #[derive(Node)]
//! #[node(category = "image/filter")]
//! struct Negative {
//!     image: Image,
//! }
//! impl Execute for Negative {
//!     type Output = Image;
//!     fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
//!         Ok(Image::new(self.image.pixels() * -1.0 + 1.0))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = std::env::temp_dir().join(format!("kiln-page-nodes-{}", std::process::id()));
//! let environment = Environment::new(Folders::under(&data)); // where models, inputs and outputs are
//! let session = Session::new(environment, kiln::nodes::registry().with::<Negative>());
//!
//! let graph = GraphBuilder::new();
//! let black = graph.add(EmptyImage::node().width(64).height(64).batch_size(1).color(0));
//! let white = graph.add(Negative::node().image(black));
//! graph.add(SaveImage::node().images(white).filename_prefix("white"));
//! session.start(graph.into_prompt()).run()?;
//! assert!(data.join("output/white_00001_.png").is_file());
//! # std::fs::remove_dir_all(&data)?;
//! # Ok(()) }
//! ```
//!
//! # Run graphs: ComfyUI's files as they are
//! A prompt in the API format or a workflow as the editor saves it; what cannot run is an error that names node and input.
#![cfg_attr(feature = "nodes", doc = "```")]
#![cfg_attr(not(feature = "nodes"), doc = "```ignore")]
//! use kiln::graph::{Document, LowerOptions};
//! use kiln::nodes::{Environment, files::Folders};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data = std::env::temp_dir().join(format!("kiln-page-graphs-{}", std::process::id()));
//! let engine = Environment::new(Folders::under(&data)).into_engine();
//! let file = r#"{
//!     "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 65280}},
//!     "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "green"}}
//! }"#;
//! let prompt = match Document::from_json(file)? {
//!     Document::Prompt(prompt) => prompt,
//!     Document::Workflow(workflow) => workflow.lower(engine.registry(), &LowerOptions::default())?,
//! };
//! let report = engine.start(prompt).on_event(|event| println!("{event:?}")).run()?;
//! assert_eq!(report.summary.executed, 2);
//! # std::fs::remove_dir_all(&data)?;
//! # Ok(()) }
//! ```
//! A run can be awaited as well: `engine.start(prompt).await`, under any executor. From a shell: `kiln run workflow.json`
//! (the crate `kiln-cli`).
//!
//! # Rooms
//! This crate is the front door; each room is a crate of its own:
//!
//! | module | feature | what |
//! |---|---|---|
//! | [`graph`] | | prompts and workflows as data, node definitions, validation |
//! | [`exec`] | | the engine: scheduling, lifetimes of outputs, cache, events, cancel |
//! | [`memory`] | | mapped weight files, budgets, paging |
//! | [`models`](kiln_models), [`burn`] | `models`, on by default | text encoders, UNets, autoencoders, samplers; the tensors they compute with |
//! | [`nodes`](kiln_nodes) | `nodes`, on by default | ComfyUI's nodes on top of these |
//! | `cli` | `cli` | what a terminal shows while a graph runs |
//! | `community` | `community` | small nodes of other packs that shared workflows use most |
//! | `testing_nodes` | `testing-nodes` | the nodes of ComfyUI's own execution tests |

#[cfg(feature = "models")]
pub use burn;
#[cfg(feature = "cli")]
pub use kiln_cli as cli;
#[cfg(feature = "community")]
pub use kiln_community as community;
pub use kiln_exec as exec;
pub use kiln_graph as graph;
pub use kiln_memory as memory;
#[cfg(feature = "models")]
pub use kiln_models as models;
#[cfg(feature = "nodes")]
pub use kiln_nodes as nodes;
#[cfg(feature = "testing-nodes")]
pub use kiln_testing_nodes as testing_nodes;
