//! `IMAGE` and `MASK` as bytes: one tensor each.

use std::sync::Arc;

use kiln_exec::{CodecError, Decoder, Encoder, Host, Object, PayloadCodec};

use super::own::own;
use super::tensor;
use crate::payload::{Image, Mask};

/// Writes and reads `IMAGE`.
#[derive(Clone, Copy, Debug)]
pub struct ImageCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for ImageCodec {
    fn socket_type(&self) -> &str {
        "IMAGE"
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        tensor::write("IMAGE", &own::<Image>(object)?.pixels(), to)
    }
    fn decode(&self, from: &mut Decoder<'_>, host: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Image::new(tensor::read(from, &tensor::device(host))?)))
    }
}

/// Writes and reads `MASK`.
#[derive(Clone, Copy, Debug)]
pub struct MaskCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for MaskCodec {
    fn socket_type(&self) -> &str {
        "MASK"
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        tensor::write("MASK", &own::<Mask>(object)?.tensor(), to)
    }
    fn decode(&self, from: &mut Decoder<'_>, host: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Mask::new(tensor::read(from, &tensor::device(host))?)))
    }
}
