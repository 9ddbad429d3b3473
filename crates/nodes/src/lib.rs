//! The ComfyUI node set by ComfyUI's names, image files and model folders.
//!
//! A node is a struct whose fields are its inputs; what it does stands in `Execute`. Class names, input names, socket
//! types, defaults, limits and choices are ComfyUI's (a test compares each of them), so that its graphs run here; the
//! words of descriptions and tooltips are Kiln's own.
//!
//! # What lies where
//! Four wings, each knows only those before it. [`files`] knows folders, numbers of saved files, and images as bytes; it
//! can be used without any node. [`payload`] are the types on links. [`runtime`] surrounds an engine: the environment that
//! nodes work in, and what memory learns of a run. `comfy/` has the node classes, one file or folder per topic:
//! [`loaders`], [`conditioning`], [`hooks`], [`sampling`], [`vae`], [`latent`], [`image`], [`mask`], [`controlnet`], [`vision`], [`seeing`], [`video`],
//! [`upscale`], [`logic`], [`flow`], [`primitive`], [`text`], [`model`], [`patches`], [`merge`]. [`registry()`] lists every
//! class.
//!
//! # What a host lends
//! Nodes own nothing and know no globals: folders, device, the budget of weights and the vocabulary come from the
//! [`Environment`] that the embedding program gives to its engine.
//!
//! # Example
//! An image of one colour, made smaller and saved:
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

mod comfy;
pub mod files;
pub mod payload;
pub mod runtime;

pub use comfy::{
    conditioning, controlnet, dataset, flow, gligen, hooks, hypernetwork, image, latent, loaders, logic, mask, merge,
    model, patches, primitive, sampling, seeing, text, upscale, vae, video, vision,
};
pub use comfy::{register, registry};
pub use conditioning::CLIPTextEncode;
pub use image::{ImageScale, LoadImage, PreviewImage, SaveImage};
pub use latent::EmptyLatentImage;
pub use loaders::CheckpointLoaderSimple;
pub use payload::{Clip, Conditioning, Image, Latent, Mask, Model, Vae};
pub use runtime::{Environment, Session};
pub use sampling::KSampler;
pub use vae::{VAEDecode, VAEEncode};
