//! The codec of one socket type: a payload as bytes, and back.

use std::sync::Arc;

use crate::codec::decoder::Decoder;
use crate::codec::encoder::Encoder;
use crate::codec::error::CodecError;
use crate::host::Host;
use crate::value::Object;

/// Writes payloads of one socket type down and reads them back, the same to the last bit.
///
/// Bytes may come from a damaged file or from a stranger: [`decode`](Self::decode) must return an error for whatever it
/// cannot have written. [`Decoder`] refuses lengths that the rest of the bytes cannot hold.
pub trait PayloadCodec: Send + Sync {
    /// The socket type: `"IMAGE"`.
    fn socket_type(&self) -> &str;

    /// The version of the form. What another version wrote is not read.
    fn version(&self) -> u32 {
        1
    }

    /// Writes everything that [`decode`](Self::decode) needs.
    ///
    /// # Errors
    /// [`CodecError::Unencodable`] for a payload that holds what cannot be written, such as a network; those of the
    /// writer.
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError>;

    /// Reads what [`encode`](Self::encode) wrote, exactly so many bytes. The host says where the payload is to live.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] for bytes that no payload was written as; those of the reader.
    fn decode(&self, from: &mut Decoder<'_>, host: &Host) -> Result<Arc<dyn Object>, CodecError>;
}
