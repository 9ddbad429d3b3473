//! A part of a pattern, written for the engine, with how many characters it matches. Knows nothing of Python's syntax.

use super::class::push_literal;

/// Python's bound of repeats.
pub(super) const MOST_REPEATS: u64 = u32::MAX as u64;

/// How many characters something matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Width {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Width {
    pub(super) const NONE: Self = Self { least: 0, most: 0 };
    pub(super) const ONE: Self = Self { least: 1, most: 1 };

    pub(super) fn then(self, next: Self) -> Self {
        Self { least: self.least.saturating_add(next.least), most: self.most.saturating_add(next.most) }
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    pub(super) fn times(self, least: u64, most: u64) -> Self {
        Self { least: self.least.saturating_mul(least), most: self.most.saturating_mul(most) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Can be repeated.
    Plain,
    /// A place in the text.
    Place,
    /// Is repeated already.
    Repeat,
}

/// A part of a pattern in the engine's syntax.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) text: String,
    pub(super) width: Width,
    pub(super) kind: Kind,
    /// Whether there are groups in it that keep what they match.
    pub(super) keeps: bool,
}

impl Item {
    pub(super) fn plain(text: impl Into<String>, width: Width) -> Self {
        Self { text: text.into(), width, kind: Kind::Plain, keeps: false }
    }

    pub(super) fn place(text: impl Into<String>) -> Self {
        Self { text: text.into(), width: Width::NONE, kind: Kind::Place, keeps: false }
    }
}

pub(super) fn literal(c: char) -> Item {
    let mut text = String::new();
    push_literal(&mut text, c);
    Item::plain(text, Width::ONE)
}

/// A repeat in the engine's syntax.
pub(super) fn counted(text: &str, least: u64, most: u64, lazy: bool) -> String {
    let lazy = if lazy { "?" } else { "" };
    match (least, most) {
        (0, MOST_REPEATS) => format!("(?:{text})*{lazy}"),
        (1, MOST_REPEATS) => format!("(?:{text})+{lazy}"),
        (0, 1) => format!("(?:{text})?{lazy}"),
        (least, MOST_REPEATS) => format!("(?:{text}){{{least},}}{lazy}"),
        (least, most) => format!("(?:{text}){{{least},{most}}}{lazy}"),
    }
}

/// A repeat of something without width, which the engine won't repeat: more than once is once.
pub(super) fn once(text: &str, least: u64, lazy: bool) -> String {
    match (least, lazy) {
        (0, false) => format!("(?:{text}|)"),
        (0, true) => format!("(?:|{text})"),
        _ => format!("(?:{text})"),
    }
}
