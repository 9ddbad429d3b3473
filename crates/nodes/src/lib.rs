//! The ComfyUI node set by ComfyUI's names, image files and model folders.

mod composite;
pub mod files;
pub mod image;
pub mod latent;
mod load;
mod logic;
pub mod mask;
pub mod payload;
mod primitive;
mod resize;
mod save;
mod studio;

pub use load::{LoadImage, LoadImageMask, LoadImageOutput};
pub use logic::Switch;
pub use payload::{Image, Latent, Mask};
pub use primitive::{
    PreviewAny, PrimitiveBoolean, PrimitiveFloat, PrimitiveInt, PrimitiveString, PrimitiveStringMultiline,
};
pub use save::{MaskPreview, PreviewImage, SaveImage};
pub use studio::Studio;
