//! What may be chosen for one run, each with its default.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kiln_graph::{Link, NodeId};

use crate::spill::Spill;
use crate::store::Retention;

/// What happens when an expansion links to an output that was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LateEdges {
    /// Its node runs again, with whatever ancestors are gone too.
    #[default]
    Reexecute,
    /// An expansion may link only to nodes that already connect to the expanding node; anything else is its error.
    Restrict,
}

/// Which of the nodes that may start is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that keeps the peak of memory low, by the sizes seen in earlier runs; as [`Comfy`](Self::Comfy) as long
    /// as there are none.
    #[default]
    Peak,
    /// Output nodes and waiting nodes first, then what leads to an output in one step, in two, then the rest.
    Comfy,
}

/// What the failure of a node means for the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// No further node starts; the run fails.
    #[default]
    Stop,
    /// Nodes that do not depend on it run, and their outputs are delivered with the errors.
    Continue,
}

/// What a run does when its engine runs another prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenBusy {
    /// It waits in a queue: first come, first served, whether a thread or a future waits. A cancel ends the waiting.
    #[default]
    Queue,
    /// It ends with [`ErrorKind::Busy`](crate::ErrorKind::Busy).
    Refuse,
}

/// Evicts cache entries at node boundaries: called with each key's first bytes, returns which go. For tests.
#[cfg(feature = "testing")]
pub type Adversary = Arc<dyn Fn(u64) -> bool + Send + Sync>;

/// What may be chosen for one run.
#[derive(Clone)]
pub struct RunOptions {
    /// How long outputs live. Default: `2`.
    pub retention: Retention,
    /// Late links to dropped outputs. Default: run again.
    pub late_edges: LateEdges,
    /// Which ready node starts. Default: by peak bytes.
    pub order: Order,
    /// What a failure means for other branches. Default: stop.
    pub on_failure: OnFailure,
    /// Run these output nodes only; ids that are none are ignored. Default: all.
    pub targets: Option<Vec<NodeId>>,
    /// Also deliver these outputs, of any node. Their nodes are run for it.
    pub fetch: Vec<Link>,
    /// One node at a time in the same order every time, also where lanes would allow more. Default: no.
    pub deterministic: bool,
    /// Where outputs that must not be computed twice go while nobody reads them, for this run alone. Default: where the
    /// [engine](crate::EngineBuilder::spill) puts them.
    pub spill: Option<Arc<dyn Spill>>,
    /// Expansions within expansions, at most. Default: a million.
    pub max_depth: u32,
    /// Nodes known at one time, at most. Default: ten million.
    pub max_nodes: u32,
    /// How many nodes of finished expansions stay known after nothing refers to them any more, so that a link to one
    /// of them by name still works. Default: 1024.
    pub keep_ephemeral: usize,
    /// From this depth on an expanding node whose outputs are links hands its readers over to what they lead to and
    /// is gone, as in a tail call: loops of any length then need no memory per iteration. Default: 16.
    pub tail_depth: u32,
    /// How long a node may take to come back after a cancel, before its run ends without it. Default: two seconds.
    pub grace: Duration,
    /// When the engine runs another prompt. Default: queue.
    pub when_busy: WhenBusy,
    /// Record what ran, when, for how long and why. Default: no.
    pub trace: bool,
    /// Report [`Event::ProgressState`](crate::Event::ProgressState), which says of a node again what `Executing`,
    /// `Progress` and `Finished` say. Default: yes.
    pub progress_states: bool,
    /// The `extra_pnginfo` of the prompt.
    pub extra_pnginfo: Option<Arc<serde_json::Value>>,
    /// The run's id in events; a fresh number when absent.
    pub prompt_id: Option<Arc<str>>,
    /// Evicts cache entries at every node boundary.
    #[cfg(feature = "testing")]
    pub adversary: Option<Adversary>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            retention: Retention::default(),
            late_edges: LateEdges::default(),
            order: Order::default(),
            on_failure: OnFailure::default(),
            targets: None,
            fetch: Vec::new(),
            deterministic: false,
            spill: None,
            max_depth: 1_000_000,
            max_nodes: 10_000_000,
            keep_ephemeral: 1024,
            tail_depth: 16,
            grace: Duration::from_secs(2),
            when_busy: WhenBusy::default(),
            trace: false,
            progress_states: true,
            extra_pnginfo: None,
            prompt_id: None,
            #[cfg(feature = "testing")]
            adversary: None,
        }
    }
}

macro_rules! withs {
    ($($(#[$doc:meta])* $with:ident($field:ident: $type:ty);)*) => {
        impl RunOptions {$(
            $(#[$doc])*
            pub fn $with(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*}
    };
}
withs! {
    /// With another [`retention`](Self::retention).
    with_retention(retention: Retention);
    /// With another rule for [`late_edges`](Self::late_edges).
    with_late_edges(late_edges: LateEdges);
    /// With another [`order`](Self::order).
    with_order(order: Order);
    /// With another rule for failures.
    with_on_failure(on_failure: OnFailure);
    /// Restricted to some [`targets`](field@Self::targets).
    with_targets(targets: Option<Vec<NodeId>>);
    /// Makes it [`deterministic`](Self::deterministic) or not.
    with_deterministic(deterministic: bool);
    /// With another [`grace`](Self::grace) after a cancel.
    with_grace(grace: Duration);
    /// With another rule for an engine that is [busy](Self::when_busy).
    with_when_busy(when_busy: WhenBusy);
    /// With a [`trace`](Self::trace) or without.
    with_trace(trace: bool);
    /// With [`progress_states`](Self::progress_states) or without.
    with_progress_states(progress_states: bool);
    /// With a place to [`spill`](Self::spill) to.
    with_spill(spill: Option<Arc<dyn Spill>>);
}

impl RunOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn targets(&self) -> Option<&[NodeId]> {
        self.targets.as_deref()
    }

    /// Delivering one more output.
    pub fn fetching(mut self, link: Link) -> Self {
        self.fetch.push(link);
        self
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("retention", &self.retention)
            .field("late_edges", &self.late_edges)
            .field("order", &self.order)
            .field("on_failure", &self.on_failure)
            .field("targets", &self.targets)
            .field("deterministic", &self.deterministic)
            .finish_non_exhaustive()
    }
}
