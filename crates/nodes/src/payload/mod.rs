//! Payloads: what travels over links besides numbers and text. Socket types are ComfyUI's.
//!
//! Each knows its bytes, so that runs can be held to a budget. None knows a node.

mod clip;
pub mod codec;
mod hooks;
mod image;
mod latent;
mod mask;
mod model;
mod part;
mod sampling;
mod seeing;
mod svg;
mod tensor;
mod vision;

pub use clip::Clip;
pub(crate) use clip::Encoding;
pub use hooks::{Floats, HookKeyframes, Hooks, TimestepsRange};
pub use image::Image;
pub use latent::Latent;
pub use mask::Mask;
pub use model::{Conditioning, Model, PerpNegative, UpscaleModel, Vae};
pub use part::MissingPart;
pub use sampling::{Guider, Noise, Sampler, Sigmas};
pub use seeing::{BoundingBox, BoundingBoxes, Detections, DetectorModel, SegmenterModel};
pub use svg::Svg;
pub use tensor::tensor_bytes;
pub(crate) use tensor::values;
pub use vision::{ClipVision, ClipVisionOutput};
