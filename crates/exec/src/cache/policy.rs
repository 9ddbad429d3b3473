//! Cache policies: which results outlive their prompt.

use std::fmt;
use std::sync::Arc;

/// Returns how many bytes of memory are free right now.
pub type AvailableMemory = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Which results outlive their prompt.
#[derive(Clone, Default)]
pub enum CachePolicy {
    /// Exactly those of the last prompt's nodes. Expansions have caches of their own.
    #[default]
    Classic,
    /// All, until there are more than so many; then whole prompts go, the oldest first.
    Lru(usize),
    /// All that fit into so many bytes; the least recently used go first, also during a prompt.
    Bytes(u64),
    /// All, until less than `headroom` bytes of memory are free.
    RamPressure {
        /// Bytes that should stay free.
        headroom: u64,
        /// Asked after every node.
        available: AvailableMemory,
    },
    /// None.
    None,
}

impl fmt::Debug for CachePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classic => f.write_str("Classic"),
            Self::Lru(n) => write!(f, "Lru({n})"),
            Self::Bytes(n) => write!(f, "Bytes({n})"),
            Self::RamPressure { headroom, .. } => write!(f, "RamPressure({headroom})"),
            Self::None => f.write_str("None"),
        }
    }
}
