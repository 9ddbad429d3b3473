//! The meter: listens to a run and notes when its nodes begin and end, and the steps of one of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kiln_exec::{Event, NodeId};
use kiln_memory::process_memory;

use super::clock::{Moment, Passed};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a run took, node by node and step by step.
pub(crate) struct Meter {
    /// The node whose steps count.
    sampler: NodeId,
    begun: Mutex<HashMap<NodeId, Moment>>,
    nodes: Mutex<HashMap<NodeId, Passed>>,
    steps: Mutex<Vec<Moment>>,
}

impl Meter {
    pub(crate) fn new(sampler: &str) -> Self {
        Self { sampler: sampler.into(), begun: Mutex::default(), nodes: Mutex::default(), steps: Mutex::default() }
    }

    pub(crate) fn hear(&self, event: &Event) {
        let now = Moment::now();
        match event {
            Event::Executing { node: Some(node), .. } => {
                lock(&self.begun).insert(node.clone(), now);
                if *node == self.sampler {
                    lock(&self.steps).push(now);
                }
            }
            Event::Progress { node, value, .. } if *node == self.sampler && *value > 0.0 => lock(&self.steps).push(now),
            Event::Finished { node, .. } => {
                if let Some(begun) = lock(&self.begun).remove(node) {
                    lock(&self.nodes).insert(node.clone(), now.since(&begun));
                }
            }
            _ => {}
        }
    }

    /// What a node took.
    pub(crate) fn node(&self, id: &str) -> Passed {
        lock(&self.nodes).get(id).copied().unwrap_or_default()
    }

    /// What each step took. The first begins with its node.
    pub(crate) fn steps(&self) -> Vec<Passed> {
        lock(&self.steps).windows(2).map(|pair| pair[1].since(&pair[0])).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches how much memory of its own the process holds.
pub(crate) struct Watch {
    most: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        let (most, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (most.clone(), ended.clone());
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                seen.fetch_max(process_memory().map_or(0, |memory| memory.anonymous), Ordering::Relaxed);
                std::thread::sleep(LOOK);
            }
        });
        Self { most, ended, thread }
    }

    /// The most that was seen, in bytes.
    pub(crate) fn end(self) -> u64 {
        self.ended.store(true, Ordering::Relaxed);
        // It can't panic; and if it did, what it saw is there.
        let _ = self.thread.join();
        self.most.load(Ordering::Relaxed)
    }
}
