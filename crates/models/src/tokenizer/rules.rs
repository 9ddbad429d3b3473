//! What stands around a row of tokens and how long it is at least.

/// What stands around a row's text, and how long it is at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRules {
    /// The id before the text.
    pub start: Option<u32>,
    /// The id behind it.
    pub end: Option<u32>,
    /// The id that fills a row.
    pub pad: u32,
    /// Pads put behind every row.
    pub min_padding: usize,
    /// Shorter rows are filled up to this length.
    pub min_length: usize,
    /// Whether brackets are weights; without, they are text.
    pub weights: bool,
    /// Whether a name of no embedding stays text; without, it is left out.
    pub unknown_names: bool,
}
