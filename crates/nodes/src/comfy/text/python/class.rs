//! Sets of characters as Python defines them, written for the engine. Knows no pattern around them.

use std::fmt::Write;

/// One of Python's sets: `\d`, `\s`, `\w`, and their opposites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Category {
    letter: char,
    ascii: bool,
}

/// An element of a class in brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    /// All characters from one to another.
    Range(char, char),
    /// A set.
    Category(Category),
}

impl Category {
    /// The set of an escape's letter; `ascii` under Python's flag of that name.
    pub(super) fn of(letter: char, ascii: bool) -> Option<Self> {
        matches!(letter, 'd' | 'D' | 's' | 'S' | 'w' | 'W').then_some(Self { letter, ascii })
    }

    /// What stands between the brackets for the set, not for its opposite.
    ///
    /// Python's white space has the four separators U+001C to U+001F beside Unicode's; its words are made of letters,
    /// numbers and the underscore, without the marks that Unicode counts as parts of words.
    fn inner(self) -> &'static str {
        match (self.letter.to_ascii_lowercase(), self.ascii) {
            ('d', true) => "0-9",
            ('d', false) => r"\p{Nd}",
            ('s', true) => r"\x{9}-\x{D}\x{20}",
            ('s', false) => r"\s\x{1C}-\x{1F}",
            (_, true) => "0-9A-Za-z_",
            (_, false) => r"\p{L}\p{N}_",
        }
    }

    /// The set as a class of its own.
    pub(super) fn class(self) -> String {
        let not = if self.letter.is_ascii_uppercase() { "^" } else { "" };
        format!("[{not}{}]", self.inner())
    }
}

/// A class in brackets.
pub(super) fn bracketed(negated: bool, elements: &[Element]) -> String {
    let mut out = String::from(if negated { "[^" } else { "[" });
    for element in elements {
        match element {
            Element::Range(low, high) if low == high => push_literal(&mut out, *low),
            Element::Range(low, high) => {
                push_literal(&mut out, *low);
                out.push('-');
                push_literal(&mut out, *high);
            }
            Element::Category(category) => out.push_str(&category.class()),
        }
    }
    out.push(']');
    out
}

/// A character that means itself wherever it stands.
pub(super) fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() {
        out.push(c);
    } else {
        // Writing into a text never fails.
        let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
    }
}

/// The end or the beginning of a word, or neither, as Python sees words.
pub(super) fn boundary(inside: bool, ascii: bool) -> String {
    let word = Category { letter: 'w', ascii }.class();
    if inside {
        format!("(?:(?<={word})(?={word})|(?<!{word})(?!{word}))")
    } else {
        format!("(?:(?<={word})(?!{word})|(?<!{word})(?={word}))")
    }
}
