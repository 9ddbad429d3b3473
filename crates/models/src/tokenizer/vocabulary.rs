//! CLIP's vocabulary: text to ids.
//!
//! Knows the vocabulary file and the steps that transformers 5 puts before and around byte-pair encoding. Knows nothing
//! of prompts: weights, embeddings and chunks are its callers' business.
//!
//! Sources: OpenAI CLIP `simple_tokenizer.py`, whose `bpe_simple_vocab_16e6.txt.gz` holds the merges; transformers
//! 5.24.0 `models/clip/tokenization_clip.py`; ComfyUI `comfy/sd1_tokenizer/` (which special token is normalised).

use std::io::Read;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers, replace::ReplacePattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer as Pipeline};

use super::error::TokenizerError;
use super::words::Words;

/// The id before the first token of a chunk.
pub const START: u32 = 49406;
/// The id behind the last token of a chunk, also CLIP-L's padding.
pub const END: u32 = 49407;

const START_TEXT: &str = "<|startoftext|>";
const END_TEXT: &str = "<|endoftext|>";
/// Marks a symbol that ends a word.
const WORD_END: &str = "</w>";
const MERGES: usize = 48894;
const BUNDLED: &[u8] = include_bytes!("../../assets/bpe_simple_vocab_16e6.txt.gz");
/// What a word is; text between the matches is dropped.
const WORD: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The 49408 symbols of CLIP and how a text becomes a row of them.
///
/// Ids: 256 byte symbols, the same 256 at a word's end, one symbol per merge, start, end.
pub struct Vocabulary {
    pipeline: Pipeline,
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
        let (symbols, merges) = symbols_and_merges(&text)?;
        Ok(Self { pipeline: pipeline(symbols, merges)? })
    }

    /// The ids of a text, without start and end. Any text has ids: nothing in it is unknown or too long.
    ///
    /// A literal `<|startoftext|>`, in any case, and a literal `<|endoftext|>`, in lower case only, become the special
    /// ids.
    ///
    /// # Errors
    /// [`TokenizerError::Library`]; no text is known to cause it.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Ok(self.pipeline.encode_fast(text, false)?.get_ids().to_vec())
    }
}

impl Words for Vocabulary {
    fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        Self::encode(self, text)
    }
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocabulary").field("symbols", &self.pipeline.get_vocab_size(true)).finish_non_exhaustive()
    }
}

/// A pair of neighbours that become one symbol; its rank is its place in the list.
type Merge = (String, String);

/// Ids of all symbols, and the merges, from the text of the vocabulary file. Its first line is a version.
fn symbols_and_merges(text: &str) -> Result<(Vocab, Vec<Merge>), TokenizerError> {
    let bytes = byte_symbols();
    let ends = bytes.iter().map(|symbol| format!("{symbol}{WORD_END}"));
    let mut ids: Vocab = (bytes.iter().map(char::to_string).chain(ends)).zip(0..).collect();
    let mut merges = Vec::with_capacity(MERGES);
    for (line, merge) in (2..).zip(text.lines().skip(1).take(MERGES)) {
        let known = merge.split_once(' ').filter(|(left, right)| ids.contains_key(*left) && ids.contains_key(*right));
        let (left, right) = known.ok_or_else(|| TokenizerError::Merge { line, text: merge.to_owned() })?;
        ids.insert(format!("{left}{right}"), ids.len() as u32);
        merges.push((left.to_owned(), right.to_owned()));
    }
    if merges.len() < MERGES {
        return Err(TokenizerError::Short { found: merges.len(), expected: MERGES });
    }
    ids.extend([(START_TEXT.to_owned(), START), (END_TEXT.to_owned(), END)]);
    Ok((ids, merges))
}

/// The printable characters that stand for bytes, in the order of their ids: bytes that are printable themselves, then
/// the others as U+0100 and on.
fn byte_symbols() -> Vec<char> {
    let own = (33..=126).chain(161..=172).chain(174..=255);
    own.chain(0x100..).filter_map(char::from_u32).take(256).collect()
}

/// Steps and settings of transformers' `CLIPTokenizer`.
///
/// NFC, the classes of the patterns and lower-casing each follow a Unicode version of their own; only the library that
/// the reference uses has the same three.
fn pipeline(symbols: Vocab, merges: Vec<Merge>) -> tokenizers::Result<Pipeline> {
    let bpe = BPE::builder()
        .vocab_and_merges(symbols, merges)
        .unk_token(END_TEXT.to_owned())
        .end_of_word_suffix(WORD_END.to_owned())
        .build()?;
    let white_space = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
    let words = Split::new(SplitPattern::Regex(WORD.to_owned()), SplitDelimiterBehavior::Removed, true)?;
    // GPT-2's pattern cuts words once more. It finds something to cut where lower-casing made an `<|ENDOFTEXT|>` a word.
    let bytes = ByteLevel::default().add_prefix_space(false).use_regex(true);
    let mut pipeline = Pipeline::new(bpe);
    pipeline.with_normalizer(Some(Normalizers::new(vec![NFC.into(), white_space.into(), Lowercase.into()])))?;
    pipeline.with_pre_tokenizer(Some(PreTokenizers::new(vec![words.into(), bytes.into()])));
    pipeline.add_special_tokens([
        AddedToken::from(START_TEXT, true).normalized(true),
        AddedToken::from(END_TEXT, true).normalized(false),
    ])?;
    Ok(pipeline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<u32> {
        Vocabulary::bundled().and_then(|vocabulary| vocabulary.encode(text)).unwrap_or_default()
    }

    /// The ids of words that are tokenized one by one.
    fn of_words(words: &[&str]) -> Vec<u32> {
        words.iter().flat_map(|word| ids(word)).collect()
    }

    #[test]
    fn contractions_digits_and_runs_of_marks_are_words_of_their_own() {
        assert_eq!(ids("don't 42 ok!?"), of_words(&["don", "'t", "4", "2", "ok", "!?"]));
    }

    #[test]
    fn a_special_token_in_capitals_is_one_at_a_start_and_text_at_an_end() {
        assert_eq!(ids("!<|STARTOFTEXT|>"), [ids("!"), vec![START]].concat());
        assert_eq!(ids("!<|endoftext|>"), [ids("!"), vec![END]].concat());
        assert_eq!(ids("!<|ENDOFTEXT|>"), of_words(&["!<|", "endoftext", "|>"]));
        assert_eq!(ids("<|ENDOFTEXT|>"), of_words(&["<|", "endoftext", "|>"]));
    }

    #[test]
    fn format_characters_stay_and_ideographs_are_not_set_apart() {
        assert_eq!(ids("zero\u{200b}width"), of_words(&["zero", "\u{200b}", "width"]));
        assert_ne!(ids("日本"), of_words(&["日", "本"]));
    }

    #[test]
    fn capitals_become_small_one_by_one() {
        assert_eq!(ids("ΟΔΟΣ"), ids("οδοσ"));
        assert_eq!(ids("İ"), ids("i\u{307}"));
    }

    #[test]
    fn a_merge_of_unknown_symbols_names_its_line() {
        let error = symbols_and_merges("#version\ni n\nin zz\n").map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(error, Err("line 3 of the CLIP vocabulary, `in zz`, isn't a merge of two known symbols".to_owned()));
        assert!(matches!(symbols_and_merges("#version\ni n\n"), Err(TokenizerError::Short { found: 1, .. })));
    }
}
