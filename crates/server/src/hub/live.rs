//! What runs, node by node: how far each is, what it took, what its outputs hold. Also of the prompts that ended last.
//!
//! For Kiln's own page, which sees every client's prompts. Bounded; knows events, and no request.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use kiln_exec::{Event, NodeId};
use serde::Serialize;

/// Prompts that are remembered.
const MOST_RUNS: usize = 8;
/// Nodes of one prompt: of a loop that makes node after node the first finished ones are forgotten.
const MOST_NODES: usize = 1000;

/// What runs, and what ran last.
#[derive(Default)]
pub(crate) struct Live {
    runs: Mutex<IndexMap<Arc<str>, LiveRun>>,
}

/// One run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct LiveRun {
    /// `running`, `success`, `error` or `interrupted`.
    pub(crate) state: &'static str,
    /// Milliseconds since 1970.
    pub(crate) began: u64,
    pub(crate) nodes: IndexMap<NodeId, LiveNode>,
}

/// One node of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct LiveNode {
    /// `running`, `finished`, `cached` or `error`.
    pub(crate) state: &'static str,
    /// Steps that are made, of how many.
    pub(crate) value: f64,
    pub(crate) max: f64,
    /// Time in its own code, of all its calls.
    pub(crate) micros: u64,
    /// Bytes of its outputs that are still there.
    pub(crate) bytes: u64,
}

impl Live {
    pub(crate) fn hear(&self, event: &Event) {
        match event {
            Event::ExecutionStart { prompt_id, timestamp } => self.begin(prompt_id, *timestamp),
            Event::ExecutionCached { prompt_id, nodes, .. } => {
                for id in nodes {
                    self.node(prompt_id, id, |node| node.state = "cached");
                }
            }
            Event::Executing { prompt_id, node: Some(id), .. } => {
                self.node(prompt_id, id, |node| (node.state, node.value, node.max) = ("running", 0.0, 0.0));
            }
            Event::Progress { prompt_id, node, value, max, .. } => {
                self.node(prompt_id, node, |node| (node.value, node.max) = (*value, *max));
            }
            Event::Finished { prompt_id, node, micros, bytes, .. } => self.node(prompt_id, node, |node| {
                node.state = "finished";
                node.micros += micros;
                node.bytes += bytes;
            }),
            Event::Dropped { prompt_id, node, bytes, .. } | Event::Spilled { prompt_id, node, bytes, .. } => {
                self.node(prompt_id, node, |node| node.bytes = node.bytes.saturating_sub(*bytes));
            }
            Event::Recalled { prompt_id, node, bytes, .. } => self.node(prompt_id, node, |node| node.bytes += bytes),
            Event::ExecutionError(error) => {
                if let Some(id) = &error.node_id {
                    self.node(&error.prompt_id, id, |node| node.state = "error");
                }
                // What a blocker says comes without a time, and the run goes on.
                if error.timestamp.is_some() {
                    self.end(&error.prompt_id, "error");
                }
            }
            Event::ExecutionSuccess { prompt_id, .. } => self.end(prompt_id, "success"),
            Event::ExecutionInterrupted { prompt_id, .. } => self.end(prompt_id, "interrupted"),
            _ => {}
        }
    }

    /// The runs by their prompts' ids, the newest last.
    pub(crate) fn runs(&self) -> IndexMap<Arc<str>, LiveRun> {
        self.lock().clone()
    }

    fn begin(&self, prompt: &Arc<str>, began: u64) {
        let mut runs = self.lock();
        runs.shift_remove(prompt);
        runs.insert(Arc::clone(prompt), LiveRun { state: "running", began, nodes: IndexMap::new() });
        while runs.len() > MOST_RUNS {
            let ended = runs.values().position(|run| run.state != "running").unwrap_or(0);
            runs.shift_remove_index(ended);
        }
    }

    fn end(&self, prompt: &str, state: &'static str) {
        if let Some(run) = self.lock().get_mut(prompt) {
            run.state = state;
        }
    }

    fn node(&self, prompt: &str, id: &NodeId, change: impl FnOnce(&mut LiveNode)) {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(prompt) else { return };
        if run.nodes.len() >= MOST_NODES && !run.nodes.contains_key(id) {
            let finished = run.nodes.values().position(|node| node.state != "running").unwrap_or(0);
            run.nodes.shift_remove_index(finished);
        }
        change(run.nodes.entry(id.clone()).or_default());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IndexMap<Arc<str>, LiveRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(prompt: &str) -> Event {
        Event::ExecutionStart { prompt_id: prompt.into(), timestamp: 5 }
    }

    fn finished(prompt: &str, node: &str) -> Event {
        Event::Finished { prompt_id: prompt.into(), node: node.into(), micros: 7, sockets: 1, bytes: 30 }
    }

    #[test]
    fn a_node_has_its_time_and_the_bytes_that_are_left_of_it() {
        let live = Live::default();
        live.hear(&started("p"));
        live.hear(&finished("p", "1"));
        live.hear(&finished("p", "1"));
        live.hear(&Event::Dropped { prompt_id: "p".into(), node: "1".into(), socket: 0, bytes: 40 });
        live.hear(&Event::ExecutionSuccess { prompt_id: "p".into(), timestamp: 9 });
        live.hear(&finished("unknown", "1"));
        let runs = live.runs();
        assert_eq!((runs.len(), runs["p"].state, runs["p"].began), (1, "success", 5));
        let node = LiveNode { state: "finished", micros: 14, bytes: 20, ..LiveNode::default() };
        assert_eq!(runs["p"].nodes.values().collect::<Vec<_>>(), [&node]);
    }

    #[test]
    fn neither_prompts_nor_nodes_pile_up() {
        let live = Live::default();
        for prompt in 0..100 {
            live.hear(&started(&prompt.to_string()));
            live.end(&prompt.to_string(), "success");
        }
        assert_eq!(live.runs().len(), MOST_RUNS);
        for node in 0..3 * MOST_NODES {
            live.hear(&finished("99", &node.to_string()));
        }
        let nodes = &live.runs()["99"].nodes;
        assert_eq!((nodes.len(), nodes.last().map(|(id, _)| id.as_str())), (MOST_NODES, Some("2999")));
    }
}
