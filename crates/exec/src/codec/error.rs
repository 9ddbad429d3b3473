//! Why a value could not be written down, or not be read back.

use std::io;
use std::sync::Arc;

/// Why a value could not be written down, or not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// Nobody knows how to write or read payloads of this socket type.
    #[error("there is no codec for {0}; register one with `Registry::with_codec`")]
    NoCodec(Arc<str>),
    /// The codec is there, but not for this one.
    #[error("this {socket_type} cannot be written down: {reason}")]
    Unencodable {
        /// The socket type.
        socket_type: Arc<str>,
        /// What it holds that cannot be written.
        reason: String,
    },
    /// Written by another version of Kiln, or of the codec.
    #[error("{what} was written in version {found} of its form, this program reads version {known}")]
    Version {
        /// The form: the whole, or a socket type.
        what: String,
        /// The version that was found.
        found: u32,
        /// The version that is known.
        known: u32,
    },
    /// The bytes are not what was written, or never were a value.
    #[error("the bytes are damaged: {0}")]
    Damaged(String),
    /// The codec panicked.
    #[error("the codec for {0} panicked")]
    Panicked(Arc<str>),
    /// The reader or the writer failed.
    #[error("{0}")]
    Io(#[source] io::Error),
}

impl CodecError {
    /// The payload at hand holds something that cannot be written.
    pub fn unencodable(socket_type: &str, reason: impl Into<String>) -> Self {
        Self::Unencodable { socket_type: socket_type.into(), reason: reason.into() }
    }

    /// The bytes are no such value.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

/// An end that comes too early is damage; everything else is the reader's or the writer's failure.
impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("they end too early".into()),
            _ => Self::Io(error),
        }
    }
}
