//! One run of one prompt: the loop that starts nodes, and everything that happens to them on the way.
//!
//! Single-threaded: all decisions are made here, in one place after the other. Other threads only call nodes.

mod asks;
mod call;
mod dispatch;
mod expansion;
mod finish;
mod flight;
mod link;
mod nodes;
mod order;
mod plan;
mod prepare;
mod result;
mod tell;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_graph::schedule::{EdgeIx, ExecutionList, NodeIx, State};
use kiln_graph::{DynamicPrompt, Map, NodeId, Prompt, Routes};

use self::call::Prepared;
use self::flight::{Flight, Landed};
use self::nodes::Nodes;
use self::order::Plan;
use crate::args::Args;
use crate::cache::{Entry, key::KeyWriter};
use crate::cancel::Cancel;
use crate::cx::Shared;
use crate::engine::{Checked, Inner};
use crate::error::{ErrorKind, NodeError, RunError};
use crate::event::{Event, Listener};
use crate::lease::{AbandonedCall, Busy, Lease};
use crate::options::{OnFailure, Retention, RunOptions};
use crate::outcome::Produced;
use crate::report::{NodeOutput, Report, Summary};
use crate::store::Store;
use crate::sync::Weak;
use crate::trace::Trace;
use crate::values::Values;

/// A failure on its way up, and the node it belongs to.
#[derive(Debug)]
pub(super) struct Fault {
    pub node: Option<NodeIx>,
    pub error: NodeError,
}

impl Fault {
    pub(super) fn at(node: NodeIx, error: NodeError) -> Self {
        Self { node: Some(node), error }
    }
}

/// One run of one prompt.
pub(crate) struct Execution<'e> {
    engine: &'e Inner,
    session: Lease<'e>,
    prompt: &'e Arc<Prompt>,
    options: &'e RunOptions,
    shared: Arc<Shared>,
    /// What `DYNPROMPT` shows.
    graph: Arc<DynamicPrompt>,
    nodes: Nodes<'e>,
    list: ExecutionList,
    store: Store,
    flight: Flight,
    plan: Plan,
    keys: KeyWriter,
    /// Whether keys are of use to anybody.
    keyed: bool,
    keeps_everything: bool,
    /// There are lazy links, and the retention level does not count them.
    lazy_uncounted: bool,
    /// Blocks from outside that are to be released.
    blocked: usize,
    /// Nodes of finished expansions that nothing refers to, the oldest first.
    graveyard: VecDeque<NodeIx>,
    /// Hits that are still to be shown.
    hits: HashMap<NodeIx, Arc<Entry>>,
    outputs: Map<NodeId, NodeOutput>,
    failures: Vec<RunError>,
    summary: Summary,
    trace: Option<Trace>,
    begun: Instant,
    last_elapsed: Duration,
    /// Positions in the registry, by validation's class numbers.
    classes: Vec<Option<u32>>,
    scratch: Scratch,
}

/// Buffers that are used again and again.
#[derive(Default)]
struct Scratch {
    stack: Vec<NodeIx>,
    gone: Vec<NodeIx>,
    edges: Vec<EdgeIx>,
    prepared: Prepared,
    args: Option<Args>,
    produced: Produced,
}

impl<'e> Execution<'e> {
    pub(crate) fn new(
        engine: &'e Inner,
        mut session: Lease<'e>,
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
            desk: Arc::default(),
            listener,
        };
        let keyed = session.cache.is_active() || engine.provider.is_some() || options.trace;
        let mut list = ExecutionList::new();
        list.grow(prompt.len(), prompt.len());
        session.ledger.start();
        session.cache.start();
        Self {
            shared: Arc::new(shared),
            graph: Arc::new(DynamicPrompt::new(Arc::clone(prompt))),
            nodes: Nodes::new(prompt, routes),
            list,
            store: Store::new(options.retention, prompt.len()),
            flight: Flight::new(options.deterministic),
            plan: Plan::default(),
            keys: KeyWriter::default(),
            keyed,
            keeps_everything: options.retention == Retention::Keep,
            lazy_uncounted: false,
            blocked: 0,
            graveyard: VecDeque::new(),
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

    /// Runs to the end, whatever that is.
    pub(crate) fn run(mut self, checked: Checked) -> Result<Report, RunError> {
        let knock = futures::task::waker(Arc::clone(&self.flight.mailbox));
        self.shared.desk.wakes(knock.clone());
        let _awake = self.shared.cancel.wakes(knock);
        self.tell_start();
        let driven = self.drive(&checked.outputs);
        self.shared.halted.store(true, std::sync::atomic::Ordering::Release);
        for (node, sign) in self.flight.stop(&self.engine.lanes, self.options.grace) {
            self.leave_behind(node, sign);
        }
        self.end(driven, checked)
    }

    fn drive(&mut self, outputs: &[NodeId]) -> Result<(), Fault> {
        self.check_size()?;
        let roots = self.roots(outputs)?;
        self.plan(roots.iter().copied())?;
        for root in &roots {
            self.nodes[*root].flags.root = true;
            self.store.pin(self.nodes[*root].sockets);
        }
        self.clean_cache();
        self.tell_cached();
        for root in &roots {
            self.demand(*root)?;
        }
        self.choose_order();
        loop {
            self.checkpoint()?;
            while !self.flight.is_empty()
                && let Some(landed) = self.landed()?
            {
                let node = landed.node;
                let result = self.land(landed);
                self.survive(node, result)?;
            }
            if self.shared.desk.has_asks() {
                self.do_asks()?;
            }
            if let Some(ix) = self.next() {
                let result = self.dispatch(ix);
                self.survive(ix, result)?;
            } else if !self.flight.is_empty() || self.waits_for_release() {
                if let Some(landed) = self.flight.wait() {
                    let node = landed.node;
                    let result = self.land(landed);
                    self.survive(node, result)?;
                }
            } else if self.list.unfinished() > 0 {
                return Err(self.dependency_cycle());
            } else {
                return Ok(());
            }
        }
    }

    fn check_size(&self) -> Result<(), Fault> {
        let (nodes, most) = (self.prompt.len(), self.options.max_nodes);
        if nodes > most as usize {
            let message = format!("the prompt has {nodes} nodes; the limit is {most}");
            return Err(Fault { node: None, error: NodeError::of(ErrorKind::Limit, message) });
        }
        Ok(())
    }

    /// The nodes to run: the outputs, and the nodes of outputs that are to be fetched.
    fn roots(&self, outputs: &[NodeId]) -> Result<Vec<NodeIx>, Fault> {
        let fetched = self.options.fetch.iter().map(|link| &link.node);
        let mut roots = Vec::with_capacity(outputs.len());
        for id in outputs.iter().chain(fetched) {
            let ix = self.nodes.find(id).ok_or_else(|| Fault {
                node: None,
                error: NodeError::of(ErrorKind::DanglingLink, format!("there is no node \"{id}\" to run")),
            })?;
            roots.push(ix);
        }
        Ok(roots)
    }

    /// A call that came back from a lane, or has waited long enough.
    fn landed(&mut self) -> Result<Option<Landed>, Fault> {
        if let Some(landed) = self.flight.returned() {
            return Ok(Some(landed));
        }
        if !self.flight.is_waiting() {
            return Ok(None);
        }
        // Polling runs code of nodes, whichever can go on.
        self.session.pause(Busy { node: None, summary: self.summary });
        let landed = self.flight.poll();
        self.resume().map(|()| landed)
    }

    /// Lets go of the session while code of this node runs.
    pub(super) fn pause(&mut self, ix: NodeIx) {
        self.session.pause(Busy { node: Some(self.nodes.ids(ix)), summary: self.summary });
    }

    pub(super) fn resume(&mut self) -> Result<(), Fault> {
        if self.session.resume() { Ok(()) } else { Err(Fault { node: None, error: NodeError::interrupted() }) }
    }

    /// A call on a lane did not come back.
    fn leave_behind(&mut self, ix: NodeIx, sign: Weak<()>) {
        let ids = self.nodes.ids(ix);
        let inputs = self.list.inputs(ix).map(|at| self.list.edge(at));
        let bytes = inputs.filter_map(|edge| self.store.get(self.nodes[edge.from].sockets.at(edge.socket)?));
        let behind = AbandonedCall {
            bytes: bytes.map(Values::bytes).sum(),
            node: Some(ids.id.clone()),
            real_node: Some(ids.real().clone()),
            prompt_id: Arc::clone(&self.shared.prompt_id),
            since: Instant::now(),
        };
        self.engine.behind.add(sign, behind);
    }

    fn checkpoint(&self) -> Result<(), Fault> {
        if self.shared.cancel.is_cancelled() {
            return Err(Fault { node: None, error: NodeError::interrupted() });
        }
        Ok(())
    }

    /// What a failure of this node means for the run.
    fn survive(&mut self, ix: NodeIx, result: Result<(), Fault>) -> Result<(), Fault> {
        let Err(fault) = result else { return Ok(()) };
        let fault = Fault { node: fault.node.or(Some(ix)), ..fault };
        let isolated = self.options.on_failure == OnFailure::Continue
            && fault.node == Some(ix)
            && fault.error.kind() != ErrorKind::Interrupted
            && self.list.state(ix) == State::Running;
        if !isolated {
            return Err(fault);
        }
        self.fail_alone(ix, fault.error);
        Ok(())
    }

    /// Nothing can start and nothing is under way: nodes wait for each other.
    fn dependency_cycle(&self) -> Fault {
        let cycle = self.list.cycle().unwrap_or_default();
        let names: Vec<String> = cycle.iter().map(|ix| format!("\"{}\"", self.nodes.id(*ix))).collect();
        let blamed = cycle.iter().find(|ix| self.nodes[**ix].added.is_some()).or(cycle.first()).copied();
        let message = match names.first() {
            Some(first) => format!("Dependency cycle detected: {} → {first}", names.join(" → ")),
            None if self.blocked > 0 => "a node is blocked from outside, and nobody is left to release it".to_owned(),
            None => "nodes wait for one that will not run".to_owned(),
        };
        Fault { node: blamed, error: NodeError::of(ErrorKind::DependencyCycle, message) }
    }

    fn fetched(&mut self) -> Vec<(kiln_graph::Link, Values)> {
        let mut found = Vec::new();
        for link in &self.options.fetch {
            let node = self.nodes.find(&link.node).map(|ix| self.nodes[ix].sockets);
            let Some(at) = node.and_then(|sockets| sockets.at(u32::try_from(link.socket).ok()?)) else { continue };
            if let Err(error) = self.store.recall(at, &mut self.session.ledger) {
                tracing::warn!(%link, %error, "a spilled output could not be read back");
            }
            if let Some(values) = self.store.get(at) {
                found.push((link.clone(), values.clone()));
            }
        }
        found
    }

    pub(super) fn tell(&self, event: impl FnOnce() -> Event) {
        self.shared.tell(event);
    }
}
