//! Codecs: how values become bytes and come back unchanged, in this process or in another.
//!
//! A [`PayloadCodec`] knows one socket type; [`Codecs`] has all that an engine knows. Plain values need none. Spilling,
//! caches outside the engine and other machines all speak this one form. Knows no file and no run.

mod codecs;
mod decoder;
mod encoder;
mod error;
mod payload;
mod plain;
mod sealed;

pub use self::codecs::Codecs;
pub use self::decoder::Decoder;
pub use self::encoder::Encoder;
pub use self::error::CodecError;
pub use self::payload::PayloadCodec;
pub(crate) use self::plain::{json, json_text, weight};
pub(crate) use self::sealed::{open, seal};
