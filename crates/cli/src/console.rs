//! The console: what a terminal shows while a graph runs. Listens to events; knows nothing of nodes' insides.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_exec::{Event, Listener, NodeId};
use kiln_graph::Prompt;

use crate::calls::Calls;
use crate::streams::note;

/// Shows a bar per node that tells its progress, and remembers what each node took for the summary.
///
/// On a terminal the bar is live; elsewhere each step is a line, so that a log shows them too.
pub struct Console {
    prompt: Arc<Prompt>,
    live: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: HashMap<NodeId, (ProgressBar, Instant)>,
    calls: Calls,
    cached: usize,
    shown: Vec<serde_json::Value>,
}

/// What ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Each call in order; of very many those that took longest.
    pub shown: Vec<NodeRow>,
    /// How many calls there were.
    pub ran: usize,
    /// How many nodes of the prompt were known already.
    pub cached: usize,
}

/// What one call of a node took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// `KSampler "3"`.
    pub name: String,
    /// Time in the node's own code.
    pub time: Duration,
    /// Bytes of its outputs.
    pub bytes: u64,
    /// Runs again for an output that was dropped.
    pub again: bool,
}

impl Console {
    /// A console for runs of `prompt`, which names the nodes.
    pub fn new(prompt: &Arc<Prompt>) -> Arc<Self> {
        Arc::new(Self { prompt: prompt.clone(), live: std::io::stderr().is_terminal(), state: Mutex::default() })
    }

    /// Listens to a run.
    pub fn listener(self: &Arc<Self>) -> Listener {
        let this = Arc::clone(self);
        Arc::new(move |event| this.show(event))
    }

    /// Shows one event.
    pub fn show(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::ExecutionStart { .. } => *state = State::default(),
            Event::ExecutionCached { nodes, .. } => state.cached = nodes.len(),
            Event::Progress { node, value, max, .. } => self.step(&mut state, node, *value, *max),
            Event::Reexecuted { node, .. } => state.calls.begin_again(node),
            Event::Finished { node, micros, bytes, .. } => state.finish(node, *micros, *bytes),
            Event::Executed { output: Some(output), .. } => state.shown.push(output.clone()),
            Event::ExecutionError(_) | Event::ExecutionInterrupted { .. } => state.abandon(),
            _ => {}
        }
    }

    fn step(&self, state: &mut State, node: &NodeId, value: f64, max: f64) {
        let (bar, since) =
            state.bars.entry(node.clone()).or_insert_with(|| (self.bar(node, max as u64), Instant::now()));
        bar.set_length(max as u64);
        bar.set_position(value as u64);
        if !self.live {
            let (name, seconds) = (self.name(node), since.elapsed().as_secs_f64());
            note(format_args!("{name} step {value} of {max}, {seconds:.2} s"));
        }
    }

    fn bar(&self, node: &NodeId, steps: u64) -> ProgressBar {
        let target = if self.live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(steps), target);
        let style = ProgressStyle::with_template("{prefix}  {bar:30.cyan/blue} {pos}/{len}  {per_sec}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(self.name(node));
        bar
    }

    pub(crate) fn name(&self, node: &NodeId) -> String {
        match self.prompt.get(node.as_str()) {
            Some(known) => format!("{} \"{node}\"", known.class_type),
            None => format!("\"{node}\""),
        }
    }

    /// What ran, and how many nodes of the prompt were known already.
    pub fn rows(&self) -> Rows {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = state.calls.longest().into_iter().map(|call| NodeRow {
            name: self.name(&call.node),
            time: Duration::from_micros(call.micros),
            bytes: call.bytes,
            again: call.again,
        });
        Rows { shown: shown.collect(), ran: state.calls.ran(), cached: state.cached }
    }

    /// What nodes showed: ComfyUI's `ui` results.
    pub fn shown(&self) -> Vec<serde_json::Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }
}

impl State {
    fn finish(&mut self, node: &NodeId, micros: u64, bytes: u64) {
        // Hashing an id costs more than looking whether there is anything to find.
        let bar = if self.bars.is_empty() { None } else { self.bars.remove(node) };
        if let Some((bar, _)) = bar {
            bar.finish_and_clear();
        }
        self.calls.finish(node, micros, bytes);
    }

    fn abandon(&mut self) {
        for (bar, _) in self.bars.drain().map(|(_, bar)| bar) {
            bar.abandon();
        }
    }
}
