//! Unpacking the vocabularies that come with this crate.

use std::io::Read;

use super::error::TokenizerError;

/// The bytes of a gzip stream.
///
/// # Errors
/// [`TokenizerError::Vocabulary`] with the vocabulary's name when the stream is damaged.
pub(super) fn unpacked(name: &'static str, packed: &[u8]) -> Result<Vec<u8>, TokenizerError> {
    let mut bytes = Vec::new();
    let read = flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes);
    read.map_err(|error| TokenizerError::vocabulary(name, format!("it can't be unpacked: {error}")))?;
    Ok(bytes)
}
