//! Codecs of payloads: how they are written down and come back the same to the last bit. One per socket type.
//!
//! What holds a network has none: models are found in files again. Knows no node and no file.

mod conditioning;
mod latent;
mod own;
mod pixels;
mod sampling;
mod tensor;

use kiln_exec::Registry;

pub use self::conditioning::ConditioningCodec;
pub use self::latent::LatentCodec;
pub use self::pixels::{ImageCodec, MaskCodec};
pub use self::sampling::{NoiseCodec, SigmasCodec};
pub use self::tensor::TensorDevice;

/// Adds the codecs of this crate's payloads to `registry`.
pub fn register(registry: &mut Registry) {
    registry.add_codec(ImageCodec);
    registry.add_codec(MaskCodec);
    registry.add_codec(LatentCodec);
    registry.add_codec(ConditioningCodec);
    registry.add_codec(SigmasCodec);
    registry.add_codec(NoiseCodec);
}
