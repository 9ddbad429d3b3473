//! Textual inversions in prompts: where `embedding:name` stands, and what it leaves behind.
//!
//! Knows names and vectors. Where files lie is the business of whoever implements [`Embeddings`].

use std::sync::Arc;

use super::{encoder::Encoder, error::TokenizerError};

const MARK: &str = "embedding:";

/// What a name stands for: its vectors, or nothing when it is unknown.
pub type Found = Option<Vec<Arc<[f32]>>>;

/// Looks embeddings up by the name that a prompt gives.
pub trait Embeddings {
    /// The vectors of `name` for `encoder`, one per token place; `None` if there is no such embedding.
    ///
    /// The widths are not checked here: a vector of the wrong width is dropped when the prompt is encoded.
    ///
    /// # Errors
    /// [`TokenizerError`] when there is one and it can't be read.
    fn find(&self, name: &str, encoder: Encoder) -> Result<Found, TokenizerError>;
}

/// No embeddings at all: every name is unknown.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEmbeddings;

impl Embeddings for NoEmbeddings {
    fn find(&self, _name: &str, _encoder: Encoder) -> Result<Found, TokenizerError> {
        Ok(None)
    }
}

/// Cuts a segment before each `embedding:` that follows a space or a line break. Empty parts are left out.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(found) = text[from..].find(MARK).map(|at| at + from) {
        from = found + MARK.len();
        if found > start && matches!(text.as_bytes()[found - 1], b' ' | b'\n') {
            parts.push(text[start..found - 1].to_owned());
            start = found;
        }
    }
    parts.push(text[start..].to_owned());
    parts.retain(|part| !part.is_empty());
    parts
}

/// Looks up the embedding that a part starts with. `None` if the part is plain text; otherwise the vectors found
/// (nothing for an unknown name, with a warning) and the text left over.
pub(crate) fn resolve(
    part: &str,
    encoder: Encoder,
    embeddings: &dyn Embeddings,
) -> Result<Option<(Found, String)>, TokenizerError> {
    let Some(rest) = part.strip_prefix(MARK) else { return Ok(None) };
    let rest = rest.trim_matches('\n');
    let mut words = rest.split_whitespace();
    let name = words.next().unwrap_or("");
    let leftover = words.collect::<Vec<_>>().join(" ");
    if let Some(vectors) = embeddings.find(name, encoder)? {
        return Ok(Some((Some(vectors), leftover)));
    }
    let stripped = name.trim_matches(',');
    if stripped.len() == name.len() {
        tracing::warn!("embedding `{name}` not found");
        return Ok(Some((None, leftover)));
    }
    let found = embeddings.find(stripped, encoder)?;
    if found.is_none() {
        tracing::warn!("embedding `{stripped}` not found");
    }
    // Counted from the front even when commas stood there: so does the reference.
    let tail: String = name.chars().skip(stripped.chars().count()).collect();
    Ok(Some((found, format!("{tail} {leftover}"))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_begin_where_an_embedding_follows_a_blank() {
        assert_eq!(split("a embedding:x, b embedding:y"), ["a", "embedding:x, b", "embedding:y"]);
        assert_eq!(split("embedding:x"), ["embedding:x"]);
        assert_eq!(split("my-embedding:x"), ["my-embedding:x"]);
    }

    #[test]
    fn a_comma_behind_an_unknown_name_stays_text() {
        let (found, leftover) =
            resolve("embedding:x, b  c", Encoder::ClipL, &NoEmbeddings).unwrap().unwrap_or_default();
        assert!(found.is_none());
        assert_eq!(leftover, ", b c");
    }
}
