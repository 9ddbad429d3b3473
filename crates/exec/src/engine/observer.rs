//! A run observer: whoever accompanies every run of an engine, beside the listener that a single run may have.

use std::sync::Arc;

use kiln_graph::Prompt;

use super::kept_results::KeptResults;
use crate::node::Registry;
use crate::observe::Listener;

/// Accompanies every run of an engine; given to it with [`EngineBuilder::observer`](crate::EngineBuilder::observer).
///
/// An embedding program plans and accounts with it (memory, say) without having to be asked at each run. Runs of one engine
/// begin and end one after the other. Like a listener, an observer must not run prompts on the engine that it observes.
pub trait RunObserver: Send + Sync {
    /// The engine is made. `results` are what its cache keeps: they can be asked for when memory runs short.
    fn attach(&self, results: KeptResults) {
        drop(results);
    }

    /// A run begins. `prompt` has passed validation. The listener that is returned hears each event before the run's own.
    fn begin(&self, registry: &Registry, prompt: &Arc<Prompt>) -> Listener;

    /// The run let go of `bytes` that the cache had kept: of the prompt before, or because they were asked for.
    fn gave_back(&self, bytes: u64) {
        _ = bytes;
    }

    /// The run is over, and the cache keeps `cached` bytes for the next. Called without a [`begin`](Self::begin) for a run that
    /// did not get so far, and when the cache is emptied or changed between runs: what was counted of it is then less.
    fn end(&self, cached: u64);
}
