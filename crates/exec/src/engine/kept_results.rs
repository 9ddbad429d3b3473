//! Kept results: what an engine's cache keeps, for whoever may ask for its bytes back. Knows no cache.

use std::fmt;
use std::sync::Weak;

/// Who keeps results.
pub(crate) trait Keeper: Send + Sync {
    fn give_back(&self, bytes: u64) -> u64;
}

/// A handle to the results that an engine's cache keeps, whatever its policy. It doesn't keep the engine.
#[derive(Clone)]
pub struct KeptResults {
    keeper: Weak<dyn Keeper>,
}

impl KeptResults {
    pub(crate) fn of(keeper: Weak<dyn Keeper>) -> Self {
        Self { keeper }
    }

    /// Lets go of about `bytes` of results that nobody else holds, the least valuable first: those of old prompts before
    /// those of new ones, the large before the small. Returns how many bytes that freed.
    ///
    /// May be called at any time from any thread, also by a node while it runs. While the engine itself is at work it returns
    /// 0, and the engine lets go as soon as the node that it is at has finished.
    pub fn give_back(&self, bytes: u64) -> u64 {
        self.keeper.upgrade().map_or(0, |keeper| keeper.give_back(bytes))
    }
}

impl fmt::Debug for KeptResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptResults")
    }
}
