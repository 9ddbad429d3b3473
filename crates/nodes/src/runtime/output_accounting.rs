//! Output accounting: writes into the memory budget what finished nodes hold for others, as a run reports it.
//!
//! Knows events and bytes. Knows nothing of tensors: a node says how large its outputs are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_exec::{Event, NodeId};
use kiln_graph::Prompt;
use kiln_memory::{Budget, Kind, Reservation};

/// Counts outputs in a [`Budget`], one account per node: `KSampler "3"`.
///
/// What outlives a run (a cache keeps it) stays counted until the next run that this one listens to begins.
pub(crate) struct OutputAccounting {
    budget: Arc<Budget>,
    prompt: Arc<Prompt>,
    held: Mutex<HashMap<NodeId, Reservation>>,
}

impl OutputAccounting {
    /// Accounting for runs of `prompt`, which names the holders.
    pub(crate) fn new(budget: Arc<Budget>, prompt: &Arc<Prompt>) -> Arc<Self> {
        Arc::new(Self { budget, prompt: prompt.clone(), held: Mutex::default() })
    }

    /// Records one event.
    pub(crate) fn record(&self, event: &Event) {
        match event {
            Event::ExecutionStart { .. } => self.clear(),
            Event::Finished { node, bytes, .. } if *bytes > 0 => self.hold(node, *bytes),
            Event::Dropped { node, bytes, .. } | Event::Spilled { node, bytes, .. } => self.release(node, *bytes),
            Event::Recalled { node, bytes, .. } => self.hold(node, self.held(node) + bytes),
            _ => {}
        }
    }

    /// Forgets everything, as if it had been dropped.
    pub(crate) fn clear(&self) {
        self.with(HashMap::clear);
    }

    fn hold(&self, node: &NodeId, bytes: u64) {
        let reservation = self.budget.account(&self.holder(node), Kind::Outputs).take(bytes);
        self.with(|held| held.insert(node.clone(), reservation));
    }

    /// Bytes that are counted for a node.
    fn held(&self, node: &NodeId) -> u64 {
        self.with(|held| held.get(node).map_or(0, Reservation::bytes))
    }

    fn release(&self, node: &NodeId, bytes: u64) {
        self.with(|held| {
            let Some(reservation) = held.get_mut(node) else { return };
            let left = reservation.bytes().saturating_sub(bytes);
            reservation.shrink_to(left);
            if left == 0 {
                held.remove(node);
            }
        });
    }

    fn holder(&self, node: &NodeId) -> String {
        match self.prompt.get(node.as_str()) {
            Some(known) => format!("{} \"{node}\"", known.class_type),
            None => format!("\"{node}\""),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<NodeId, Reservation>) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(node: &str, bytes: u64) -> Event {
        Event::Finished { prompt_id: "p".into(), node: node.into(), micros: 1, sockets: 1, bytes }
    }
    fn dropped(node: &str, bytes: u64) -> Event {
        Event::Dropped { prompt_id: "p".into(), node: node.into(), socket: 0, bytes }
    }

    #[test]
    fn what_a_node_holds_is_counted_until_it_is_dropped() {
        let budget = Budget::unlimited("host");
        let output_accounting = OutputAccounting::new(budget.clone(), &Arc::default());
        output_accounting.record(&finished("1", 100));
        output_accounting.record(&finished("2", 50));
        output_accounting.record(&dropped("1", 60));
        assert_eq!((budget.used(), budget.peak()), (90, 150));
        output_accounting.record(&dropped("1", 40));
        output_accounting.record(&dropped("2", 50));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_was_spilled_is_not_counted_until_it_is_back() {
        let budget = Budget::unlimited("host");
        let output_accounting = OutputAccounting::new(budget.clone(), &Arc::default());
        output_accounting.record(&finished("1", 100));
        let (prompt_id, node): (Arc<str>, NodeId) = ("p".into(), "1".into());
        output_accounting.record(&Event::Spilled {
            prompt_id: prompt_id.clone(),
            node: node.clone(),
            socket: 0,
            bytes: 70,
        });
        assert_eq!(budget.used(), 30);
        output_accounting.record(&Event::Recalled { prompt_id, node, socket: 0, bytes: 70 });
        assert_eq!(budget.used(), 100);
        output_accounting.record(&dropped("1", 100));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_node_that_runs_again_is_counted_once() {
        let budget = Budget::unlimited("host");
        let output_accounting = OutputAccounting::new(budget.clone(), &Arc::default());
        output_accounting.record(&finished("1", 100));
        output_accounting.record(&finished("1", 100));
        assert_eq!(budget.used(), 100);
        let start = Event::ExecutionStart { prompt_id: "q".into(), timestamp: 0 };
        output_accounting.record(&start);
        assert_eq!(budget.used(), 0);
    }
}
