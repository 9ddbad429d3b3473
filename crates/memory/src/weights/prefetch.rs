//! The order in which a model uses its weights, learned from its first pass, so that the next ones can be loaded ahead.
//! Knows jobs and a worker; knows no weights.

use super::read_ahead::ReadAhead;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Uses in a pass that are remembered.
const LONGEST_PASS: usize = 1 << 16;

/// Learns the order of jobs, and has them done ahead from the second pass on.
pub(crate) struct Prefetcher<J, T> {
    state: Mutex<State<J, T>>,
}

struct State<J, T> {
    /// What this pass used so far; empty before the first pass begins.
    pass: Vec<J>,
    /// The order that the worker has.
    last_order: Arc<[J]>,
    worker: Option<Arc<ReadAhead<J, T>>>,
}

impl<J, T> Default for Prefetcher<J, T> {
    fn default() -> Self {
        Self { state: Mutex::new(State { pass: Vec::new(), last_order: Arc::new([]), worker: None }) }
    }
}

impl<J: Clone + PartialEq + Send + Sync + 'static, T: Send + 'static> Prefetcher<J, T> {
    /// A pass begins: gives the worker the order of the pass before, if it has another. `start` makes the worker when one
    /// is first needed; `prepare` is called before each pass that has one.
    pub(crate) fn begin_pass(&self, start: impl FnOnce() -> Option<ReadAhead<J, T>>, prepare: impl FnOnce()) {
        let mut state = self.lock();
        let pass = std::mem::take(&mut state.pass);
        if pass.is_empty() {
            return;
        }
        if state.worker.is_none() {
            state.worker = start().map(Arc::new);
        }
        let Some(worker) = state.worker.clone() else { return };
        prepare();
        if state.last_order[..] != pass[..] {
            state.last_order = pass.into();
            worker.set_order(state.last_order.clone(), false);
        }
    }

    /// The consumer is at `job`, the first of a pass or another: its result, if the worker has it.
    pub(crate) fn take(&self, job: J, first: bool) -> Option<T> {
        let worker = {
            let mut state = self.lock();
            if (first || !state.pass.is_empty()) && state.pass.len() < LONGEST_PASS {
                state.pass.push(job.clone());
            }
            state.worker.clone()
        };
        worker?.take(&job)
    }

    /// Tells the worker, if there is one, whether another pass follows; nothing when `again` can't say.
    pub(crate) fn expect_again(&self, again: impl FnOnce() -> Option<bool>) {
        let worker = self.lock().worker.clone();
        if let Some(worker) = worker
            && let Some(again) = again()
        {
            worker.set_again(again);
        }
    }
}

impl<J, T> Prefetcher<J, T> {
    fn lock(&self) -> MutexGuard<'_, State<J, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
