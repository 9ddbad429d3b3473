//! Byte-level vocabularies: a pattern cuts a text into words, merges make symbols of a word's bytes.
//!
//! Knows ranks and special tokens, not where they are from: `qwen.rs` and `tekken.rs` read them.
//!
//! Sources: Sennrich et al. 2016 (byte-pair encoding); tiktoken's `byte_pair_merge` for what a rank is.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{
    NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
    SplitDelimiterBehavior, normalizers::NFC,
};

use super::error::TokenizerError;
use super::specials::{Piece, Specials};
use super::words::Words;

/// A vocabulary of byte sequences, each with the rank that says how early it is merged.
#[derive(Debug)]
pub struct BytePairs {
    ranks: HashMap<Box<[u8]>, u32>,
    /// Added to a rank to make an id.
    offset: u32,
    specials: Specials,
    words: Split,
    /// Whether a text is composed (NFC) first.
    composed: bool,
}

/// What a vocabulary is made of.
pub(super) struct Parts {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// Byte sequences with their ranks.
    pub(super) ranks: HashMap<Box<[u8]>, u32>,
    /// Added to a rank to make an id.
    pub(super) offset: u32,
    /// Special tokens with their ids.
    pub(super) specials: Vec<(String, u32)>,
    /// What a word is.
    pub(super) pattern: &'static str,
    /// Whether a text is composed (NFC) first.
    pub(super) composed: bool,
}

impl BytePairs {
    pub(super) fn new(parts: Parts) -> Result<Self, TokenizerError> {
        let Parts { name, ranks, offset, specials, pattern, composed } = parts;
        if let Some(byte) = (0..=u8::MAX).find(|byte| !ranks.contains_key([*byte].as_slice())) {
            return Err(TokenizerError::vocabulary(name, format!("it has no entry for the single byte {byte:#04x}")));
        }
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let words = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
        Ok(Self { ranks, offset, specials: Specials::new(specials), words, composed })
    }

    fn words(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        let mut words = PreTokenizedString::from(text);
        self.words.pre_tokenize(&mut words)?;
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            self.merge(word.as_bytes(), ids);
        }
        Ok(())
    }

    /// The ids of a word: itself if it is known, else its bytes merged, the lowest rank first and the leftmost of equals.
    fn merge(&self, word: &[u8], ids: &mut Vec<u32>) {
        if let Some(rank) = self.ranks.get(word) {
            return ids.push(rank + self.offset);
        }
        let mut spans = Spans::of(word.len());
        let mut open = BinaryHeap::new();
        let pair = |spans: &Spans, start: usize| {
            let (middle, end) = spans.pair(start)?;
            let rank = *self.ranks.get(&word[start..end])?;
            Some(Reverse((rank, start, middle, end)))
        };
        open.extend((0..word.len()).filter_map(|start| pair(&spans, start)));
        while let Some(Reverse((_, start, middle, end))) = open.pop() {
            if spans.pair(start) != Some((middle, end)) {
                continue;
            }
            spans.join(start, middle, end);
            open.extend(pair(&spans, start));
            open.extend(spans.before(start).and_then(|before| pair(&spans, before)));
        }
        ids.extend(spans.ranges().filter_map(|range| self.ranks.get(&word[range])).map(|rank| rank + self.offset));
    }
}

impl Words for BytePairs {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut composed = NormalizedString::from(text);
        if self.composed {
            NFC.normalize(&mut composed)?;
        }
        let mut ids = Vec::new();
        for piece in self.specials.split(composed.get()) {
            match piece {
                Piece::Id(id) => ids.push(id),
                Piece::Text(text) => self.words(text, &mut ids)?,
            }
        }
        Ok(ids)
    }
}

/// A word's bytes in spans that stand side by side, each known by where it starts.
struct Spans {
    /// Where the span that starts here ends; 0 where none starts.
    ends: Vec<usize>,
    /// Where the span before the one that starts here starts.
    before: Vec<usize>,
}

impl Spans {
    /// Spans of one byte.
    fn of(length: usize) -> Self {
        Self { ends: (1..=length).collect(), before: (0..length).map(|at| at.saturating_sub(1)).collect() }
    }

    /// Where the span at `start` and the one behind it end, if both are there.
    fn pair(&self, start: usize) -> Option<(usize, usize)> {
        let middle = *self.ends.get(start).filter(|end| **end > 0)?;
        Some((middle, *self.ends.get(middle)?))
    }

    fn before(&self, start: usize) -> Option<usize> {
        (start > 0).then(|| self.before[start])
    }

    fn join(&mut self, start: usize, middle: usize, end: usize) {
        self.ends[start] = end;
        self.ends[middle] = 0;
        if let Some(before) = self.before.get_mut(end) {
            *before = start;
        }
    }

    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.ends.iter().enumerate().filter(|(_, end)| **end > 0).map(|(start, end)| start..*end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vocabulary(entries: &[&str]) -> BytePairs {
        let bytes = (0..=u8::MAX).map(|byte| Box::from([byte].as_slice()));
        let ranks = bytes.chain(entries.iter().map(|entry| Box::from(entry.as_bytes()))).zip(0..).collect();
        let (name, pattern) = ("test", r"\S+|\s+");
        BytePairs::new(Parts { name, ranks, offset: 0, specials: Vec::new(), pattern, composed: false }).unwrap()
    }

    #[test]
    fn the_lowest_rank_is_merged_first_and_the_leftmost_of_equals() {
        let words = vocabulary(&["bc", "ab", "abc", "aa"]);
        assert_eq!(words.encode("abcd").unwrap(), [258, u32::from(b'd')]);
        assert_eq!(words.encode("aaa").unwrap(), [259, u32::from(b'a')]);
        assert_eq!(words.encode("abc").unwrap(), [258]);
    }

    #[test]
    fn a_word_of_a_hundred_thousand_letters_takes_no_longer_than_reading_it() {
        let words = vocabulary(&["aa", "aaaa"]);
        assert_eq!(words.encode(&"a".repeat(100_000)).unwrap().len(), 25_000);
    }

    #[test]
    fn a_vocabulary_without_all_bytes_is_refused() {
        let parts = Parts {
            name: "test",
            ranks: HashMap::new(),
            offset: 0,
            specials: Vec::new(),
            pattern: r"\S+",
            composed: false,
        };
        assert!(BytePairs::new(parts).unwrap_err().to_string().contains("single byte 0x00"));
    }
}
