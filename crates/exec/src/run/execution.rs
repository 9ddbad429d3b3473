//! One run of one prompt: the loop that starts nodes, and everything that happens to them on the way.
//!
//! Single-threaded: all decisions are made here, in one place after the other. Other threads only call nodes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_graph::schedule::{EdgeIx, ExecutionList, NodeIx};
use kiln_graph::{DynamicPrompt, Map, NodeId, Prompt, Routes};

use crate::cache::{Entry, key::KeyWriter};
use crate::cancel::Cancel;
use crate::engine::{EngineParts, NodeOutput, RunError, RunOptions, SessionGuard, Summary};
use crate::node::{Args, Produced, Shared};
use crate::observe::{Listener, Trace};
use crate::run::call::Prepared;
use crate::run::in_flight::InFlight;
use crate::run::nodes::Nodes;
use crate::run::selection::Selection;
use crate::spill::Spill;
use crate::store::{Retention, Store};

/// One run of one prompt.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about a run")]
pub(crate) struct Execution<'e> {
    pub(super) engine: &'e EngineParts,
    pub(super) session: SessionGuard<'e>,
    pub(super) prompt: &'e Arc<Prompt>,
    pub(super) options: &'e RunOptions,
    pub(super) shared: Arc<Shared>,
    /// What `DYNPROMPT` shows.
    pub(super) graph: Arc<DynamicPrompt>,
    pub(super) nodes: Nodes<'e>,
    pub(super) list: ExecutionList,
    pub(super) store: Store,
    /// Where outputs that nobody reads now go.
    pub(super) spill: Option<Arc<dyn Spill>>,
    /// Results that the cache keeps go there, too.
    pub(super) spills_results: bool,
    pub(super) in_flight: InFlight,
    pub(super) selection: Selection,
    pub(super) keys: KeyWriter,
    /// Whether keys are of use to anybody.
    pub(super) keyed: bool,
    pub(super) keeps_everything: bool,
    /// There are lazy links, and the retention level does not count them.
    pub(super) lazy_uncounted: bool,
    /// Blocks from outside that are to be released.
    pub(super) blocked: usize,
    /// Nodes of finished expansions that nothing refers to, the oldest first.
    pub(super) finished_nodes: VecDeque<NodeIx>,
    /// Hits that are still to be shown.
    pub(super) hits: HashMap<NodeIx, Entry>,
    pub(super) outputs: Map<NodeId, NodeOutput>,
    pub(super) failures: Vec<RunError>,
    pub(super) summary: Summary,
    pub(super) trace: Option<Trace>,
    pub(super) begun: Instant,
    pub(super) last_elapsed: Duration,
    /// Positions in the registry, by validation's class numbers.
    pub(super) classes: Vec<Option<u32>>,
    pub(super) scratch: Scratch,
}

/// Buffers that are used again and again.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) stack: Vec<NodeIx>,
    pub(super) gone: Vec<NodeIx>,
    pub(super) edges: Vec<EdgeIx>,
    pub(super) prepared: Prepared,
    pub(super) args: Option<Args>,
    pub(super) produced: Produced,
}

impl<'e> Execution<'e> {
    pub(crate) fn new(
        engine: &'e EngineParts,
        mut session: SessionGuard<'e>,
        prompt: &'e Arc<Prompt>,
        routes: &'e Routes,
        options: &'e RunOptions,
        listener: Option<Listener>,
        cancel: Cancel,
    ) -> Self {
        let prompt_id = options.prompt_id.clone().unwrap_or_else(|| session.runs.to_string().into());
        session.prompt_id = Arc::clone(&prompt_id);
        let shared = Shared {
            prompt_id,
            cancel,
            halted: std::sync::atomic::AtomicBool::new(false),
            host: Arc::clone(&engine.host),
            requests: Arc::default(),
            listener,
            progress_states: options.progress_states,
        };
        let keyed = session.cache.is_active() || engine.provider.is_some() || options.trace;
        let mut list = ExecutionList::new();
        list.grow(prompt.len(), prompt.len());
        session.live_bytes.start();
        session.cache.start(prompt.len());
        Self {
            shared: Arc::new(shared),
            graph: Arc::new(DynamicPrompt::new(Arc::clone(prompt))),
            nodes: Nodes::new(prompt, routes),
            list,
            store: Store::new(options.retention, prompt.len()),
            spills_results: options.spill.is_none() && session.spill.is_some() && session.cache.is_active(),
            spill: options.spill.clone().or_else(|| session.spill.clone()),
            in_flight: InFlight::new(options.deterministic),
            selection: Selection::default(),
            keys: KeyWriter::default(),
            keyed,
            keeps_everything: options.retention == Retention::Keep,
            lazy_uncounted: false,
            blocked: 0,
            finished_nodes: VecDeque::new(),
            hits: HashMap::new(),
            outputs: Map::default(),
            failures: Vec::new(),
            summary: Summary::default(),
            trace: options.trace.then(Trace::default),
            begun: Instant::now(),
            last_elapsed: Duration::ZERO,
            classes: routes.class_names().iter().map(|name| engine.registry.position(name)).collect(),
            scratch: Scratch::default(),
            engine,
            session,
            prompt,
            options,
        }
    }
}
