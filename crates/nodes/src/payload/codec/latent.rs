//! `LATENT` as bytes.

use std::sync::Arc;

use kiln_exec::{CodecError, Decoder, Encoder, Host, Object, PayloadCodec};

use super::own::own;
use super::tensor;
use crate::payload::Latent;

/// Writes and reads `LATENT`.
#[derive(Clone, Copy, Debug)]
pub struct LatentCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for LatentCodec {
    fn socket_type(&self) -> &str {
        "LATENT"
    }

    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        // Without `..`: a new field does not compile until it is written.
        let Latent { samples, frames, noise_mask, batch_index } = own(object)?;
        tensor::write("LATENT", samples, to)?;
        to.option(*frames, Encoder::count)?;
        to.option(noise_mask.as_ref(), |to, mask| tensor::write("LATENT", mask, to))?;
        to.option(batch_index.as_ref(), |to, index| {
            to.count(index.len())?;
            Ok(index.iter().try_for_each(|item| to.count(*item))?)
        })
    }

    fn decode(&self, from: &mut Decoder<'_>, host: &Host) -> Result<Arc<dyn Object>, CodecError> {
        let device = tensor::device(host);
        Ok(Arc::new(Latent {
            samples: Arc::new(tensor::read(from, &device)?),
            frames: from.option(Decoder::count)?,
            noise_mask: from.option(|from| tensor::read(from, &device))?.map(Arc::new),
            batch_index: from.option(|from| (0..from.count()?).map(|_| from.count()).collect())?,
        }))
    }
}
