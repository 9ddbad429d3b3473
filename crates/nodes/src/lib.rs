//! The ComfyUI node set by ComfyUI's names, image files and model folders.
//!
//! A node is a struct whose fields are its inputs; what it does stands in `Execute`. Class names, input names, socket
//! types, defaults, limits and choices are ComfyUI's (a test compares each of them), so that its graphs run here; the
//! words of descriptions and tooltips are Kiln's own.
//!
//! # What lies where
//! One file or folder per family: [`loaders`], [`conditioning`], [`sampling`], [`vae`], [`latent`], [`image`], [`mask`],
//! [`controlnet`], [`vision`], [`upscale`], [`load`], [`save`] and [`save_models`], [`logic`], [`flow`], [`primitive`], [`text`], [`model`], [`patches`], [`merge`].
//! [`payload`] are the types on links. [`files`] knows folders, numbers of saved files, and pictures as bytes; it can be
//! used without any node. [`registry()`] lists every class.
//!
//! # What a host lends
//! Nodes own nothing and know no globals: folders, device, the budget of weights and the vocabulary come from the
//! [`Environment`] that the embedding program gives to its engine. With the feature `testing-nodes` the nodes of ComfyUI's
//! own execution tests are there as well.
//!
//! # Example
//! A picture of one colour, made smaller and saved:
//! ```
//! use kiln_exec::GraphBuilder;
//! use kiln_nodes::files::Folders;
//! use kiln_nodes::{ImageScale, SaveImage, Environment, image::EmptyImage};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let root = tempfile::tempdir()?;
//! let engine = Environment::new(Folders::under(root.path())).into_engine();
//! let graph = GraphBuilder::new();
//! let green = graph.add(EmptyImage::node().width(64).height(32).batch_size(1).color(0x00_c0_40));
//! let small = ImageScale::node().image(green).upscale_method("area").width(32).height(0).crop("disabled");
//! let small = graph.add(small);
//! graph.add(SaveImage::node().images(small).filename_prefix("green/kiln"));
//! engine.run(graph.into_prompt())?;
//! assert!(root.path().join("output/green/kiln_00001_.png").is_file());
//! # Ok(()) }
//! ```

mod composite;
pub mod conditioning;
pub mod controlnet;
mod environment;
pub mod files;
pub mod flow;
pub mod image;
pub mod latent;
pub mod load;
pub mod loaders;
pub mod logic;
pub mod mask;
mod memory_observer;
pub mod merge;
pub mod model;
mod model_schedule;
mod output_accounting;
pub mod patches;
pub mod payload;
pub mod primitive;
mod registry;
mod resize;
pub mod sampling;
pub mod save;
pub mod save_models;
#[cfg(feature = "testing-nodes")]
pub mod testing;
pub mod text;
pub mod upscale;
pub mod vae;
pub mod vision;

pub use conditioning::{CLIPSetLastLayer, CLIPTextEncode};
pub use environment::{Environment, weights_limit};
pub use flow::KilnSeedLoop;
pub use image::{ImageBatch, ImageScale};
pub use latent::{EmptyLatentImage, LatentComposite, LatentUpscale};
pub use load::LoadImage;
pub use loaders::{CheckpointLoaderSimple, LoraLoader};
pub use logic::Switch;
pub use memory_observer::MemoryObserver;
pub use model_schedule::ModelSchedule;
pub use output_accounting::OutputAccounting;
pub use payload::{Clip, Conditioning, Image, Latent, Mask, Model, Vae};
pub use registry::{register, registry};
pub use sampling::{KSampler, StepPreview};
pub use save::{PreviewImage, SaveImage};
pub use vae::{VAEDecode, VAEEncode};
