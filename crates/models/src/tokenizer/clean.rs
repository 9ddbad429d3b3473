//! Text before it is cut into words: BERT's basic cleaning as HF's slow `CLIPTokenizer` does without `ftfy`.

use unicode_general_category::{GeneralCategory as Category, get_general_category};
use unicode_normalization::UnicodeNormalization;

/// Ideographs that stand for themselves: a space is put on both sides. Neither kana nor hangul.
const IDEOGRAPHS: [(u32, u32); 8] = [
    (0x4e00, 0x9fff),
    (0x3400, 0x4dbf),
    (0x20000, 0x2a6df),
    (0x2a700, 0x2b73f),
    (0x2b740, 0x2b81f),
    (0x2b820, 0x2ceaf),
    (0xf900, 0xfaff),
    (0x2f800, 0x2fa1f),
];

/// Removes control and format characters, separates ideographs, composes (NFC), lower-cases, and joins the words
/// with single spaces.
pub(super) fn clean(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        match kind(c) {
            Kind::Dropped => {}
            Kind::Space => spaced.push(' '),
            Kind::Ideograph => spaced.extend([' ', c, ' ']),
            Kind::Kept => spaced.push(c),
        }
    }
    let composed: String = spaced.nfc().collect();
    let words: Vec<String> = composed.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

enum Kind {
    Dropped,
    Space,
    Ideograph,
    Kept,
}

fn kind(c: char) -> Kind {
    if matches!(c, '\t' | '\n' | '\r' | ' ') {
        return Kind::Space;
    }
    let code = c as u32;
    if code == 0 || code == 0xfffd {
        return Kind::Dropped;
    }
    if IDEOGRAPHS.iter().any(|&(low, high)| (low..=high).contains(&code)) {
        return Kind::Ideograph;
    }
    match get_general_category(c) {
        Category::Control | Category::Format | Category::Surrogate | Category::PrivateUse | Category::Unassigned => {
            Kind::Dropped
        }
        Category::SpaceSeparator => Kind::Space,
        _ => Kind::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn format_characters_vanish_without_leaving_a_space() {
        assert_eq!(clean("zero\u{200b}width\u{000b}tab"), "zerowidthtab");
    }

    #[test]
    fn ideographs_are_set_apart_and_kana_are_not() {
        assert_eq!(clean("日本かな"), "日 本 かな");
    }
}
