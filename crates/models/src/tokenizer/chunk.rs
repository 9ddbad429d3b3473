//! Token groups to chunks of 77: start, at most 75 tokens, end, padding.
//!
//! Source: ComfyUI `comfy/sd1_clip.py` (`tokenize_with_weights`).

use super::vocabulary::{END, START};
use crate::nets::clip::Token;

/// Tokens in a chunk.
pub const CHUNK: usize = 77;
/// A group this long is cut where a chunk ends; a shorter one moves to the next chunk whole.
const LARGE: usize = 8;

/// A token with its weight and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedToken {
    /// The token.
    pub token: Token,
    /// Its weight; 1 for start, end and padding.
    pub weight: f64,
    /// Number of the group it belongs to, from 1; 0 for start, end and padding.
    pub word: u32,
}

/// A row of [`CHUNK`] tokens.
pub type Chunk = Vec<WeightedToken>;

/// Tokens that belong together: a part of the prompt's text, or an embedding.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The tokens, in order.
    pub tokens: Vec<Token>,
    /// The weight of each.
    pub weight: f64,
}

/// Fills chunks with groups, in order. No groups give one empty chunk.
pub(crate) fn fill(groups: Vec<Group>, pad: u32) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut chunk = opened();
    for (nth, group) in groups.into_iter().enumerate() {
        let large = group.tokens.len() >= LARGE;
        let mut rest =
            group.tokens.into_iter().map(|token| WeightedToken { token, weight: group.weight, word: nth as u32 + 1 });
        let mut left = rest.len();
        while left + chunk.len() > CHUNK - 1 && left > 0 {
            let room = if large { CHUNK - 1 - chunk.len() } else { 0 };
            chunk.extend(rest.by_ref().take(room));
            left = rest.len();
            chunks.push(closed(chunk, pad));
            chunk = opened();
        }
        chunk.extend(rest);
    }
    chunks.push(closed(chunk, pad));
    chunks
}

/// A chunk without text: start, end, padding.
pub(crate) fn empty(pad: u32) -> Chunk {
    closed(opened(), pad)
}

fn opened() -> Chunk {
    vec![plain(START)]
}

fn closed(mut chunk: Chunk, pad: u32) -> Chunk {
    chunk.push(plain(END));
    chunk.resize(CHUNK, plain(pad));
    chunk
}

fn plain(id: u32) -> WeightedToken {
    WeightedToken { token: Token::Id(id), weight: 1.0, word: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(n: usize) -> Group {
        Group { tokens: vec![Token::Id(320); n], weight: 1.0 }
    }

    #[test]
    fn seventy_five_tokens_fill_a_chunk_and_one_more_opens_another() {
        assert_eq!(fill(vec![group(75)], END).len(), 1);
        assert_eq!(fill(vec![group(76)], END).len(), 2);
    }

    #[test]
    fn a_short_group_moves_whole_to_the_next_chunk() {
        let chunks = fill(vec![group(70), group(7)], 0);
        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[0][71].token, Token::Id(END));
        assert_eq!(chunks[1].iter().filter(|t| t.word == 2).count(), 7);
    }
}
