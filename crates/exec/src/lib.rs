//! Runs graphs that grow while they run: scheduling, lifetimes of outputs, cache, lanes, events, cancellation.
