//! CLIP's byte-pair encoding: text to ids.
//!
//! Sources: OpenAI CLIP `simple_tokenizer.py`; the merges come from its `bpe_simple_vocab_16e6.txt.gz`.

use std::collections::HashMap;
use std::io::Read;

use super::clean::clean;
use super::error::TokenizerError;
use super::words::words;

/// The id before the first token of a chunk.
pub const START: u32 = 49406;
/// The id behind the last token of a chunk, also CLIP-L's padding and the id of what has no other.
pub const END: u32 = 49407;

const MERGES: usize = 48894;
const BYTES: u32 = 256;
const BUNDLED: &[u8] = include_bytes!("../../assets/bpe_simple_vocab_16e6.txt.gz");

/// The 49408 symbols of CLIP and the order in which pairs of them merge.
///
/// Ids: 256 byte symbols, the same 256 at a word's end, one symbol per merge, start, end.
pub struct Vocabulary {
    /// Rank of the merge of two neighbours; the merged symbol's id is `512 + rank`.
    merges: HashMap<(u32, u32), u32>,
    /// Id of the symbol of each byte inside a word.
    bytes: [u32; 256],
}

impl Vocabulary {
    /// The vocabulary that comes with this crate.
    ///
    /// # Errors
    /// Only if the built-in file is damaged.
    pub fn bundled() -> Result<Self, TokenizerError> {
        Self::from_gzip(BUNDLED)
    }

    /// Reads `bpe_simple_vocab_16e6.txt.gz`.
    ///
    /// # Errors
    /// [`TokenizerError`] when it isn't gzip, too short, or merges something unknown.
    pub fn from_gzip(bytes: &[u8]) -> Result<Self, TokenizerError> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text)?;
        let symbols = printable_bytes();
        let mut ids: HashMap<String, u32> = HashMap::with_capacity(49408);
        for (i, c) in symbols.iter().enumerate() {
            ids.insert(c.to_string(), i as u32);
            ids.insert(format!("{c}</w>"), BYTES + i as u32);
        }
        let mut merges = HashMap::with_capacity(MERGES);
        for (rank, line) in text.lines().skip(1).take(MERGES).enumerate() {
            let unknown = || TokenizerError::Merge { line: rank + 2, text: line.to_owned() };
            let (left, right) = line.split_once(' ').ok_or_else(unknown)?;
            let pair = (*ids.get(left).ok_or_else(unknown)?, *ids.get(right).ok_or_else(unknown)?);
            merges.insert(pair, rank as u32);
            ids.insert(format!("{left}{right}"), 2 * BYTES + rank as u32);
        }
        if merges.len() < MERGES {
            return Err(TokenizerError::Short { found: merges.len(), expected: MERGES });
        }
        Ok(Self { merges, bytes: byte_ids() })
    }

    /// The ids of a text, without start and end.
    ///
    /// Literal `<|startoftext|>` and `<|endoftext|>` become the special ids.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for piece in split_specials(text) {
            match special(piece) {
                Some(id) => ids.push(id),
                None => words(&clean(piece)).into_iter().for_each(|word| self.push_word(&mut ids, word)),
            }
        }
        ids
    }

    fn push_word(&self, ids: &mut Vec<u32>, word: &str) {
        if let Some(id) = special(word) {
            ids.push(id);
            return;
        }
        let mut symbols: Vec<u32> = word.bytes().map(|b| self.bytes[b as usize]).collect();
        if let Some(last) = symbols.last_mut() {
            *last += BYTES;
        }
        self.merge(&mut symbols);
        ids.extend(symbols);
    }

    /// Applies merges, lowest rank first and each everywhere in the word, until none is left.
    fn merge(&self, symbols: &mut Vec<u32>) {
        while let Some((rank, pair)) =
            symbols.windows(2).filter_map(|w| self.merges.get(&(w[0], w[1])).map(|&r| (r, (w[0], w[1])))).min()
        {
            let mut merged = Vec::with_capacity(symbols.len());
            let mut i = 0;
            while i < symbols.len() {
                if i + 1 < symbols.len() && (symbols[i], symbols[i + 1]) == pair {
                    merged.push(2 * BYTES + rank);
                    i += 2;
                } else {
                    merged.push(symbols[i]);
                    i += 1;
                }
            }
            *symbols = merged;
        }
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").field("merges", &self.merges.len()).finish_non_exhaustive()
    }
}

fn special(word: &str) -> Option<u32> {
    match word {
        "<|startoftext|>" => Some(START),
        "<|endoftext|>" => Some(END),
        _ => None,
    }
}

/// Cuts a text before and after each special token.
fn split_specials(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, token)) = ["<|startoftext|>", "<|endoftext|>"]
        .iter()
        .filter_map(|token| rest.find(token).map(|at| (at, *token)))
        .min_by_key(|(at, _)| *at)
    {
        pieces.extend([&rest[..at], &rest[at..at + token.len()]]);
        rest = &rest[at + token.len()..];
    }
    pieces.push(rest);
    pieces
}

/// The printable characters that stand for bytes, in the order of their ids: bytes that are printable themselves, then
/// the others as U+0100 and on.
fn printable_bytes() -> Vec<char> {
    byte_order()
        .into_iter()
        .scan(0x100, |next, byte| {
            let own = is_printable(byte);
            *next += u32::from(!own);
            Some(if own { char::from(byte) } else { char::from_u32(*next - 1).unwrap_or('\u{100}') })
        })
        .collect()
}

fn byte_ids() -> [u32; 256] {
    let mut ids = [0; 256];
    for (id, byte) in byte_order().into_iter().enumerate() {
        ids[byte as usize] = id as u32;
    }
    ids
}

fn byte_order() -> Vec<u8> {
    let (own, others): (Vec<u8>, Vec<u8>) = (0..=255).partition(|&b| is_printable(b));
    [own, others].concat()
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, 33..=126 | 161..=172 | 174..=255)
}
