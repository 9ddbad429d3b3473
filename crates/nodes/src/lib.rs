//! The ComfyUI node set by ComfyUI's names, image files and model folders.

mod composite;
pub mod conditioning;
pub mod files;
pub mod flow;
pub mod image;
pub mod latent;
mod ledger;
pub mod load;
pub mod loaders;
pub mod logic;
pub mod mask;
pub mod model;
pub mod payload;
pub mod primitive;
mod registry;
mod resize;
pub mod sampling;
pub mod save;
mod studio;
#[cfg(feature = "testing-nodes")]
pub mod testing;
pub mod text;
pub mod upscale;
pub mod vae;

pub use conditioning::{CLIPSetLastLayer, CLIPTextEncode};
pub use flow::KilnSeedLoop;
pub use image::{ImageBatch, ImageScale};
pub use latent::{EmptyLatentImage, LatentComposite, LatentUpscale};
pub use ledger::Ledger;
pub use load::LoadImage;
pub use loaders::{CheckpointLoaderSimple, LoraLoader};
pub use logic::Switch;
pub use payload::{Clip, Conditioning, Image, Latent, Mask, Model, Vae};
pub use registry::{register, registry};
pub use sampling::{KSampler, StepPreview};
pub use save::{PreviewImage, SaveImage};
pub use studio::Studio;
pub use vae::{VAEDecode, VAEEncode};
