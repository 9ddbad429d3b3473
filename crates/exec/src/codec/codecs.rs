//! All codecs that an engine knows, and lists of values written with them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::codec::decoder::Decoder;
use crate::codec::encoder::Encoder;
use crate::codec::error::CodecError;
use crate::codec::payload::PayloadCodec;
use crate::codec::plain;
use crate::codec::sealed::{open, seal};
use crate::host::Host;
use crate::value::{Object, Value, Values};

/// One codec per socket type. Clones share them.
///
/// An engine's codecs are those of its [`Registry`](crate::Registry), with its [`Host`].
#[derive(Clone, Default)]
pub struct Codecs {
    by_type: BTreeMap<Arc<str>, Arc<dyn PayloadCodec>>,
    host: Arc<Host>,
}

impl Codecs {
    /// Plain values only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a codec. One for the same socket type is replaced.
    pub fn add(&mut self, codec: impl PayloadCodec + 'static) {
        self.by_type.insert(codec.socket_type().into(), Arc::new(codec));
    }

    /// With one more codec. One for the same socket type is replaced.
    pub fn with(mut self, codec: impl PayloadCodec + 'static) -> Self {
        self.add(codec);
        self
    }

    /// For payloads that live where this host says.
    pub fn on(mut self, host: Arc<Host>) -> Self {
        self.host = host;
        self
    }

    /// The codec for a socket type.
    pub fn get(&self, socket_type: &str) -> Option<&Arc<dyn PayloadCodec>> {
        self.by_type.get(socket_type)
    }

    /// The socket types that have a codec.
    pub fn socket_types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(|name| &**name)
    }

    /// Whether every payload of a list has a codec. It may still refuse one.
    pub fn cover(&self, values: &Values) -> bool {
        values.iter().all(|value| !matches!(value, Value::Object(object) if self.get(object.socket_type()).is_none()))
    }

    /// Writes a list, sealed with a digest.
    ///
    /// # Errors
    /// When a payload has no codec or its codec refuses it; those of the writer. What was written until then is of no
    /// use.
    pub fn write(&self, values: &Values, to: &mut dyn Write) -> Result<(), CodecError> {
        seal(to, |encoder| self.encode(values, encoder))
    }

    /// Reads a list out of exactly `length` bytes.
    ///
    /// # Errors
    /// When they are not, to the last bit, what [`write`](Self::write) wrote, when a codec is missing or of another
    /// version; those of the reader.
    pub fn read(&self, from: &mut dyn Read, length: u64) -> Result<Values, CodecError> {
        open(from, length, |decoder| self.decode(decoder))
    }

    /// Writes a list as a part of something larger.
    pub(crate) fn encode(&self, values: &Values, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        to.count(values.len())?;
        values.iter().try_for_each(|value| match value {
            Value::Object(object) => self.encode_payload(&**object, to),
            value => plain::write(value, to),
        })
    }

    /// Reads a list that is a part of something larger.
    pub(crate) fn decode(&self, from: &mut Decoder<'_>) -> Result<Values, CodecError> {
        let mut values = Vec::new();
        for _ in 0..from.count()? {
            let value = match from.u8()? {
                plain::PAYLOAD => Value::Object(self.decode_payload(from)?),
                kind => plain::read(kind, from)?,
            };
            values.push(value);
        }
        Ok(values.into())
    }

    fn encode_payload(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        let name: Arc<str> = object.socket_type().into();
        let codec = self.get(&name).ok_or_else(|| CodecError::NoCodec(Arc::clone(&name)))?;
        to.u8(plain::PAYLOAD)?;
        to.text(&name)?;
        to.u32(codec.version())?;
        // The code of others, called on the thread that runs everything.
        catch_unwind(AssertUnwindSafe(|| codec.encode(object, to))).unwrap_or(Err(CodecError::Panicked(name)))
    }

    fn decode_payload(&self, from: &mut Decoder<'_>) -> Result<Arc<dyn Object>, CodecError> {
        let name: Arc<str> = from.text()?.into();
        let codec = self.get(&name).ok_or_else(|| CodecError::NoCodec(Arc::clone(&name)))?;
        let (found, known) = (from.u32()?, codec.version());
        if found != known {
            return Err(CodecError::Version { what: name.to_string(), found, known });
        }
        let decoded = catch_unwind(AssertUnwindSafe(|| codec.decode(from, &self.host)));
        decoded.unwrap_or(Err(CodecError::Panicked(name)))
    }
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_type.keys()).finish()
    }
}
