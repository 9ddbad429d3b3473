//! Segments of a prompt to groups of tokens: embeddings where they are named, ids of the text between.

use super::chunk::Group;
use super::embedding::{self, Embeddings};
use super::encoder::Encoder;
use super::error::TokenizerError;
use super::prompt::{Segment, unescape};
use super::words::Words;
use crate::nets::clip::Token;

/// The groups of segments, in order. `unknown_names`: whether a name of no embedding stays text.
pub(super) fn groups(
    words: &dyn Words,
    encoder: Encoder,
    segments: Vec<Segment>,
    embeddings: &dyn Embeddings,
    unknown_names: bool,
) -> Result<Vec<Group>, TokenizerError> {
    let mut groups = Vec::new();
    for Segment { text, weight } in segments {
        for part in embedding::split(&unescape(&text)) {
            // The embedding that the part starts with and the text behind, or the text alone.
            let (found, text) = match embedding::resolve(&part, encoder, embeddings)? {
                Some((None, _)) if unknown_names => (None, part),
                Some((found, leftover)) => (found, leftover),
                None => (None, part),
            };
            let vectors = found.map(|found| found.into_iter().map(Token::Vector).collect());
            groups.extend(vectors.map(|tokens| Group { tokens, weight }));
            if !text.is_empty() {
                let tokens = words.encode(&text)?.into_iter().map(Token::Id).collect();
                groups.push(Group { tokens, weight });
            }
        }
    }
    Ok(groups)
}
