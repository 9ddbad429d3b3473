//! External caches: a store of results outside the engine, shared with other processes or machines.

use crate::cache::key::Key;
use crate::node::Ui;
use crate::value::Values;

/// What is known of a result that may be stored or looked for.
#[derive(Debug)]
pub struct CacheItem<'a> {
    /// The digest over class, literals and sources.
    pub key: &'a Key,
    /// The node's class.
    pub class_type: &'a str,
}

/// A result as it is stored.
#[derive(Clone, Debug, Default)]
pub struct CachedResult {
    /// Values per socket.
    pub outputs: Vec<Values>,
    /// What the node showed.
    pub ui: Option<Ui>,
}

/// A key-value store outside the engine. Asked only for nodes of the prompt itself, not of expansions, and only for
/// nodes that have a key. All calls come from the scheduler's thread.
pub trait CacheProvider: Send + Sync {
    /// Whether this result is worth the trip.
    fn should_cache(&self, _item: &CacheItem<'_>) -> bool {
        true
    }
    /// The result, if it is there.
    fn lookup(&self, item: &CacheItem<'_>) -> Option<CachedResult>;
    /// Keeps a result.
    fn store(&self, item: &CacheItem<'_>, result: &CachedResult);
    /// A prompt begins.
    fn prompt_start(&self, _prompt_id: &str) {}
    /// A prompt is over.
    fn prompt_end(&self, _prompt_id: &str) {}
}
