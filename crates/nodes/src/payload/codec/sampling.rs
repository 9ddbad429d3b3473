//! `SIGMAS` and `NOISE` as bytes.

use std::sync::Arc;

use kiln_exec::{CodecError, Decoder, Encoder, Host, Object, PayloadCodec};

use super::own::own;
use crate::payload::{Noise, Sigmas};

/// Writes and reads `SIGMAS`.
#[derive(Clone, Copy, Debug)]
pub struct SigmasCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for SigmasCodec {
    fn socket_type(&self) -> &str {
        "SIGMAS"
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        Ok(to.f32s(&own::<Sigmas>(object)?.0)?)
    }
    fn decode(&self, from: &mut Decoder<'_>, _: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Sigmas::from(from.f32s()?)))
    }
}

/// Writes and reads `NOISE`.
#[derive(Clone, Copy, Debug)]
pub struct NoiseCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for NoiseCodec {
    fn socket_type(&self) -> &str {
        "NOISE"
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        let Noise { seed, enabled } = own(object)?;
        to.u64(*seed)?;
        Ok(to.bool(*enabled)?)
    }
    fn decode(&self, from: &mut Decoder<'_>, _: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Noise { seed: from.u64()?, enabled: from.bool()? }))
    }
}
