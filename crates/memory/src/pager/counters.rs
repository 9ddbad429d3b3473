//! What a model's range has seen. Knows sums.

/// What a model's range has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Units that were here, with the right contents.
    pub hits: u64,
    /// Units that were brought here to stay.
    pub fills: u64,
    /// Units that were brought for one use.
    pub streams: u64,
    /// Units that had to go.
    pub evictions: u64,
    /// Bytes moved by fills.
    pub filled_bytes: u64,
    /// Bytes moved by streams.
    pub streamed_bytes: u64,
}

impl Counters {
    /// All bytes moved.
    pub fn moved(&self) -> u64 {
        self.filled_bytes + self.streamed_bytes
    }
}
