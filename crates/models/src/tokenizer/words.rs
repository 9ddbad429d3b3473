//! Clean text to words: CLIP's splitting pattern, by hand.
//!
//! The pattern is `<|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`, its first
//! matching alternative at each place.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

const LITERALS: [&str; 9] = ["<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(PartialEq, Clone, Copy)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

/// The words of a text, in order.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match class(first) {
            Class::Space => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            Class::Number => first.len_utf8(),
            Class::Letter => run(rest, Class::Letter),
            Class::Other => literal(rest).unwrap_or_else(|| run(rest, Class::Other)),
        };
        found.push(&rest[..length]);
        rest = &rest[length..];
    }
    found
}

fn literal(text: &str) -> Option<usize> {
    LITERALS.iter().find(|l| text.starts_with(**l)).map(|l| l.len())
}

fn run(text: &str, wanted: Class) -> usize {
    text.find(|c| class(c) != wanted).unwrap_or(text.len())
}

fn class(c: char) -> Class {
    if c.is_ascii_alphabetic() {
        return Class::Letter;
    }
    match get_general_category(c) {
        Category::UppercaseLetter
        | Category::LowercaseLetter
        | Category::TitlecaseLetter
        | Category::ModifierLetter
        | Category::OtherLetter => Class::Letter,
        Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => Class::Number,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn contractions_digits_and_runs_of_marks_are_words_of_their_own() {
        assert_eq!(words("don't 42 ok!?"), ["don", "'t", "4", "2", "ok", "!?"]);
    }

    #[test]
    fn a_special_token_inside_a_run_of_marks_is_not_one() {
        assert_eq!(words("!<|endoftext|>"), ["!<|", "endoftext", "|>"]);
    }
}
