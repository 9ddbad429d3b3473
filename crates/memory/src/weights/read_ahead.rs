//! Loading ahead of use: one thread, a known order, a ring of a few slots. Knows jobs and what they load; knows no
//! weights.
//!
//! ```text
//!   order:    a  b  c  d  e  f  g ...            (again, if another pass is expected)
//!   consumer:    ^ uses b
//!   worker:            ^ loads d, with c in a slot: two slots are full, it waits
//! ```
//! The consumer never waits for anything but the very job that the worker is in the middle of; what the worker has
//! not begun, the consumer does itself. So a slow or stopped worker costs time and never a result.
#![cfg_attr(not(feature = "testing"), allow(unreachable_pub))] // public for the tests of interleavings

use crate::{
    sync::thread::{self, JoinHandle},
    sync::{Condvar, Mutex, MutexGuard},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

/// Loads jobs in their order ahead of a consumer.
pub struct ReadAhead<J, T> {
    shared: Arc<Shared<J, T>>,
    worker: Option<JoinHandle<()>>,
}

struct Shared<J, T> {
    state: Mutex<State<J, T>>,
    changed: Condvar,
}

struct State<J, T> {
    order: Arc<[J]>,
    /// Whether the order begins again after its end.
    again: bool,
    slots: usize,
    /// Positions count on over the passes: position `p` is job `p % order.len()`.
    cursor: usize,
    next: usize,
    loading: Option<usize>,
    ring: BTreeMap<usize, T>,
    stop: bool,
}

impl<J: Clone + PartialEq + Send + Sync + 'static, T: Send + 'static> ReadAhead<J, T> {
    /// A worker with `slots` slots. `load` brings a job's result, or `None` when nothing needs a slot (it is in place
    /// already, or has been put there).
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(slots: usize, load: impl Fn(&J) -> Option<T> + Send + 'static) -> std::io::Result<Self> {
        let state = State {
            order: Arc::new([]),
            again: false,
            slots,
            cursor: 0,
            next: 0,
            loading: None,
            ring: BTreeMap::new(),
            stop: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let worker = {
            let shared = shared.clone();
            thread::Builder::new().name("kiln-ahead".into()).spawn(move || shared.work(&load))?
        };
        Ok(Self { shared, worker: Some(worker) })
    }

    /// Says what will be used, in order, from now on; and whether it begins again at the end.
    pub fn set_order(&self, order: impl Into<Arc<[J]>>, again: bool) {
        let mut state = self.shared.lock();
        state.order = order.into();
        (state.again, state.cursor, state.next) = (again, 0, 0);
        state.ring.clear();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Whether another pass is expected.
    pub fn set_again(&self, again: bool) {
        let mut state = self.shared.lock();
        if state.again != again {
            state.again = again;
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// The consumer is at `job`: its result, if it was loaded into a slot. `None` means: do it yourself, it is either in
    /// place or wasn't thought of.
    pub fn take(&self, job: &J) -> Option<T> {
        let mut state = self.shared.lock();
        let position = state.find(job)?;
        state.cursor = position + 1;
        while state.loading == Some(position) {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let result = state.ring.remove(&position);
        state.ring = state.ring.split_off(&(position + 1));
        state.next = state.next.max(position + 1);
        drop(state);
        self.shared.changed.notify_all();
        result
    }
}

impl<J: PartialEq, T> State<J, T> {
    /// The next position of a job, at most one pass away.
    fn find(&self, job: &J) -> Option<usize> {
        let n = self.order.len();
        (self.cursor..self.cursor + n).find(|p| self.order[p % n] == *job)
    }

    /// What to load now, if there is something and a slot for it.
    fn wanted(&self) -> Option<usize> {
        let n = self.order.len();
        if n == 0 || self.ring.len() >= self.slots {
            return None;
        }
        // The pass that the consumer is in ends here; at its very end the next one counts.
        let pass_end = self.cursor.next_multiple_of(n).max(n);
        let end = if self.again { self.cursor + n } else { pass_end };
        let next = self.next.max(self.cursor);
        (next < end).then_some(next)
    }
}

impl<J: PartialEq, T> Shared<J, T> {
    fn lock(&self) -> MutexGuard<'_, State<J, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, load: &dyn Fn(&J) -> Option<T>) {
        let mut state = self.lock();
        loop {
            if state.stop {
                return;
            }
            let Some(position) = state.wanted() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let order = state.order.clone();
            (state.loading, state.next) = (Some(position), position + 1);
            drop(state);
            let result = load(&order[position % order.len()]);
            state = self.lock();
            let current = Arc::ptr_eq(&order, &state.order);
            state.loading = None;
            if let Some(result) = result
                && current
                && position + 1 >= state.cursor
            {
                state.ring.insert(position, result);
            }
            self.changed.notify_all();
        }
    }
}

impl<J, T> Drop for ReadAhead<J, T> {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.changed.notify_all();
        if let Some(worker) = self.worker.take()
            && worker.thread().id() != thread::current().id()
        {
            _ = worker.join();
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::{sync::mpsc, time::Duration};

    /// Loads even jobs into slots; odd ones need none. Tells what it loads.
    fn doubler(slots: usize) -> (ReadAhead<u32, u32>, mpsc::Receiver<u32>) {
        let (tell, told) = mpsc::channel();
        let load = move |job: &u32| {
            tell.send(*job).ok();
            job.is_multiple_of(2).then_some(job * 2)
        };
        (ReadAhead::new(slots, load).unwrap(), told)
    }

    fn loads(told: &mpsc::Receiver<u32>) -> Vec<u32> {
        std::iter::from_fn(|| told.recv_timeout(Duration::from_millis(150)).ok()).collect()
    }

    #[test]
    fn it_loads_as_far_as_its_slots_reach_and_goes_on_when_one_is_free() {
        let (ahead, told) = doubler(2);
        ahead.set_order([0, 1, 2, 4, 6, 8], false);
        assert_eq!(loads(&told), [0, 1, 2]);
        assert_eq!(ahead.take(&0), Some(0));
        assert_eq!(loads(&told), [4]);
        assert_eq!((ahead.take(&1), ahead.take(&2)), (None, Some(4)));
        assert_eq!(loads(&told), [6]);
        assert_eq!([4, 6].map(|j| ahead.take(&j)), [Some(8), Some(12)]);
        assert_eq!(loads(&told), [8], "and stops at the end of the pass");
        assert_eq!(ahead.take(&8), Some(16));
    }

    #[test]
    fn it_begins_again_when_another_pass_is_expected() {
        let (ahead, told) = doubler(2);
        ahead.set_order([0, 2, 4], true);
        for _ in 0..3 {
            assert_eq!([0, 2, 4].map(|j| ahead.take(&j).unwrap_or(j * 2)), [0, 4, 8]);
        }
        ahead.set_again(false);
        drop(loads(&told));
        assert_eq!([0, 2, 4].map(|j| ahead.take(&j).unwrap_or(j * 2)), [0, 4, 8]);
    }

    #[test]
    fn a_consumer_that_skips_or_surprises_is_served_all_the_same() {
        let (ahead, told) = doubler(2);
        ahead.set_order([0, 2, 4, 6], false);
        drop(loads(&told));
        assert_eq!(ahead.take(&9), None, "never heard of");
        drop((ahead.take(&4), loads(&told)));
        assert_eq!(ahead.take(&6), Some(12));
    }

    #[test]
    fn dropping_it_ends_its_thread_and_its_results() {
        let held = Arc::new(());
        let inside = held.clone();
        let ahead = ReadAhead::new(2, move |_: &u32| Some(inside.clone())).unwrap();
        ahead.set_order([1, 2, 3], true);
        std::thread::sleep(Duration::from_millis(20));
        drop(ahead);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
