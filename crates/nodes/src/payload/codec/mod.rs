//! Codecs of payloads: how they are written down and come back the same to the last bit. One per socket type.
//!
//! What holds a network has none: models are found in files again. Knows no node and no file.

mod conditioning;
mod latent;
mod pixels;
mod sampling;
mod tensor;

use burn::tensor::Device;
use kiln_exec::{CodecError, Object, Registry};

pub use self::conditioning::ConditioningCodec;
pub use self::latent::LatentCodec;
pub use self::pixels::{ImageCodec, MaskCodec};
pub use self::sampling::{NoiseCodec, SigmasCodec};

/// The device on which payloads live that are read back. A service of the host; without it, the CPU.
#[derive(Clone, Debug)]
pub struct TensorDevice(pub Device);

/// Adds the codecs of this crate's payloads to `registry`.
pub fn register(registry: &mut Registry) {
    registry.add_codec(ImageCodec);
    registry.add_codec(MaskCodec);
    registry.add_codec(LatentCodec);
    registry.add_codec(ConditioningCodec);
    registry.add_codec(SigmasCodec);
    registry.add_codec(NoiseCodec);
}

/// The payload as the type that the codec is for. Another crate's type of the same name is refused.
fn own<T: Object>(object: &dyn Object) -> Result<&T, CodecError> {
    let foreign = || CodecError::unencodable(object.socket_type(), "it is another type of the same name");
    object.downcast_ref().ok_or_else(foreign)
}
