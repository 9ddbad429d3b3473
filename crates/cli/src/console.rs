//! The console: what a terminal shows while a graph runs. Listens to events; knows nothing of nodes' insides.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kiln_exec::{Event, Listener, NodeId};
use kiln_graph::Prompt;

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
    rows: Vec<Row>,
    /// Rows of nodes that are to run again and have not finished.
    again: HashMap<NodeId, usize>,
    cached: usize,
    shown: Vec<serde_json::Value>,
}

/// What one call of a node took, before anybody wants to see it.
struct Row {
    node: NodeId,
    micros: u64,
    bytes: u64,
    again: bool,
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

/// More nodes than this nobody reads about one by one.
const MOST_ROWS: usize = 200;

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
            Event::Reexecuted { node, .. } => {
                let row = state.rows.len();
                state.rows.push(Row { node: node.clone(), micros: 0, bytes: 0, again: true });
                state.again.insert(node.clone(), row);
            }
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
            eprintln!("{} step {value} of {max}, {:.2} s", self.name(node), since.elapsed().as_secs_f64());
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
        let shown = longest(&state.rows).into_iter().map(|row| NodeRow {
            name: self.name(&row.node),
            time: Duration::from_micros(row.micros),
            bytes: row.bytes,
            again: row.again,
        });
        Rows { shown: shown.collect(), ran: state.rows.len(), cached: state.cached }
    }

    /// What nodes showed: ComfyUI's `ui` results.
    pub fn shown(&self) -> Vec<serde_json::Value> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).shown.clone()
    }
}

/// All rows in order; of very many those that took longest.
fn longest(rows: &[Row]) -> Vec<&Row> {
    let mut places: Vec<usize> = (0..rows.len()).collect();
    if places.len() > MOST_ROWS {
        places.select_nth_unstable_by_key(MOST_ROWS, |place| (Reverse(rows[*place].micros), *place));
        places.truncate(MOST_ROWS);
        places.sort_unstable();
    }
    places.into_iter().map(|place| &rows[place]).collect()
}

impl State {
    fn finish(&mut self, node: &NodeId, micros: u64, bytes: u64) {
        // Hashing an id costs more than looking whether there is anything to find.
        let bar = if self.bars.is_empty() { None } else { self.bars.remove(node) };
        if let Some((bar, _)) = bar {
            bar.finish_and_clear();
        }
        let again = if self.again.is_empty() { None } else { self.again.remove(node) };
        match again.and_then(|row| self.rows.get_mut(row)) {
            Some(row) => (row.micros, row.bytes) = (micros, bytes),
            None => self.rows.push(Row { node: node.clone(), micros, bytes, again: false }),
        }
    }

    fn abandon(&mut self) {
        for (bar, _) in self.bars.drain().map(|(_, bar)| bar) {
            bar.abandon();
        }
    }
}
