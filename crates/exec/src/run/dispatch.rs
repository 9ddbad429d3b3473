//! Dispatch: what happens to a node that may start. Served from the cache, asked for its needs, called, or resolved.

use std::sync::Arc;
use std::time::Instant;

use kiln_graph::PromptNode;
use kiln_graph::schedule::{EdgeIx, NodeIx, Use};

use crate::engine::ActiveCall;
use crate::error::{ErrorKind, NodeError};
use crate::lanes::Job;
use crate::node::{Answer, Args, Body, Call, Class, Cx, Lane, Start};
use crate::observe::{Event, NodeState};
use crate::run::call::{CallResult, Prepared, blocked, call_all, call_once, start_all};
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::run::in_flight::Completion;

impl<'e> Execution<'e> {
    /// Starts a node that was handed out.
    pub(super) fn dispatch(&mut self, ix: NodeIx) -> Result<(), NodeFailure> {
        if self.nodes[ix].expanding.is_some() {
            self.resolve_expansion(ix);
            return Ok(());
        }
        if self.nodes[ix].flags.served || self.serve_twin(ix) {
            self.finish_served(ix);
            return Ok(());
        }
        let Some(node) = self.nodes.source(ix) else { return Ok(()) };
        let class = self.class(ix);
        let mut prepared = std::mem::take(&mut self.scratch.prepared);
        let result = self.begin(ix, &node, class, &mut prepared);
        prepared.clear();
        self.scratch.prepared = prepared;
        result
    }

    fn begin(
        &mut self,
        ix: NodeIx,
        node: &PromptNode,
        class: &'e Class,
        prepared: &mut Prepared,
    ) -> Result<(), NodeFailure> {
        self.prepare(ix, node, class, prepared)?;
        self.emit_running(ix);
        loop {
            if !class.has_lazy {
                break;
            }
            let missing = self.missing(ix, node, class, prepared)?;
            if missing.is_empty() {
                break;
            }
            if self.ask_for(ix, &missing)? {
                return Ok(());
            }
            // Everything was there already: look again with it.
            self.prepare(ix, node, class, prepared)?;
        }
        match (&class.behaviour.body, &class.behaviour.lane) {
            (Body::Blocking(call), Lane::Inline) => self.call_here(ix, class, call, prepared),
            (Body::Blocking(call), _) if self.options.deterministic => self.call_here(ix, class, call, prepared),
            (Body::Blocking(call), lane) => {
                self.call_on_lane(ix, call, lane, std::mem::take(prepared));
                Ok(())
            }
            (Body::Async(start), _) => {
                self.start_waiting(ix, class, start, prepared);
                Ok(())
            }
        }
    }

    /// Lazy inputs that the node says it needs and does not have: the edges behind them.
    fn missing(
        &mut self,
        ix: NodeIx,
        node: &PromptNode,
        class: &Class,
        prepared: &Prepared,
    ) -> Result<Vec<EdgeIx>, NodeFailure> {
        self.pause(ix);
        let missing = self.ask_needs(ix, node, class, prepared);
        self.resume()?;
        missing
    }

    fn ask_needs(
        &self,
        ix: NodeIx,
        node: &PromptNode,
        class: &Class,
        prepared: &Prepared,
    ) -> Result<Vec<EdgeIx>, NodeFailure> {
        let Some(needs) = &class.behaviour.needs else { return Ok(Vec::new()) };
        let cx = self.cx(ix);
        let mut missing: Vec<EdgeIx> = Vec::new();
        for call in 0..prepared.calls {
            let mut args = Args::new(Arc::clone(&class.def));
            if prepared.fill(call, &mut args).is_err() {
                continue;
            }
            cx.checkpoint().map_err(|error| NodeFailure::at(ix, error))?;
            let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| needs(&mut args, &cx)))
                .unwrap_or_else(|panic| Err(NodeError::panicked(&*panic)));
            for name in asked.map_err(|error| NodeFailure::at(ix, error))? {
                if let Some(edge) = self.asked(ix, node, class, &name)?
                    && !missing.contains(&edge)
                {
                    missing.push(edge);
                }
            }
        }
        Ok(missing)
    }

    /// The edge behind a name that `needs` returned; none when the value is there already.
    fn asked(&self, ix: NodeIx, node: &PromptNode, class: &Class, name: &str) -> Result<Option<EdgeIx>, NodeFailure> {
        let Some((at, _, input)) = node.inputs.get_full(name) else {
            let class = &class.def.class_type;
            let text = format!("{class} says it needs input `{name}`, but there is no input to that node at all");
            return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::BadRequest, text)));
        };
        if input.as_link().is_none() {
            // A constant is there already; asking for it is a harmless habit of lists of names.
            return Ok(None);
        }
        let edge = self.list.inputs(ix).find(|edge| self.list.edge(*edge).input == at as u32);
        Ok(edge.filter(|edge| self.list.edge(*edge).usage == Use::Lazy))
    }

    /// Makes lazy edges strong. Returns whether the node has to wait for one of them.
    fn ask_for(&mut self, ix: NodeIx, edges: &[EdgeIx]) -> Result<bool, NodeFailure> {
        let mut sources = Vec::new();
        for edge in edges {
            self.wait_for(*edge, &mut sources)?;
        }
        if sources.is_empty() {
            return Ok(false);
        }
        self.list.schedule(ix);
        for source in sources {
            self.demand(source)?;
        }
        self.list.settle(ix);
        Ok(true)
    }

    pub(super) fn cx(&self, ix: NodeIx) -> Cx {
        Cx { shared: Arc::clone(&self.shared), ids: self.nodes.ids(ix), call: 0, graphs: 0 }
    }

    fn call_here(
        &mut self,
        ix: NodeIx,
        class: &'e Class,
        call: &Call,
        prepared: &mut Prepared,
    ) -> Result<(), NodeFailure> {
        let begun = self.is_timed().then(Instant::now);
        let mut cx = self.cx(ix);
        let mut args = match self.scratch.args.take() {
            Some(mut args) => {
                args.reset(&class.def);
                args
            }
            None => Args::new(Arc::clone(&class.def)),
        };
        if prepared.calls == 1 {
            let mut produced = std::mem::take(&mut self.scratch.produced);
            self.session.pause(ActiveCall { node: Some(cx.ids.clone()), summary: self.summary });
            let answer = match prepared.fill(0, &mut args) {
                Ok(()) => call_once(call, &mut args, &mut cx, &mut produced),
                Err(blocker) => Ok(blocked(&blocker, &cx, class)),
            };
            // Nothing may hold the inputs on when the node has finished: their memory is due before the next one starts.
            args.clear();
            prepared.clear();
            self.scratch.args = Some(args);
            self.resume()?;
            self.ran(ix, begun.map(|at| at.elapsed()));
            let answer = answer.map_err(|error| NodeFailure::at(ix, error))?;
            if let Answer::Done = answer {
                self.finish_call(ix, &mut produced);
                produced.outputs.clear();
                produced.ui = None;
                self.scratch.produced = produced;
                return Ok(());
            }
            return self.answered(ix, vec![CallResult { answer, produced }]);
        }
        self.session.pause(ActiveCall { node: Some(cx.ids.clone()), summary: self.summary });
        let results = call_all(class, call, prepared, &mut cx, &mut args);
        args.clear();
        prepared.clear();
        self.scratch.args = Some(args);
        self.resume()?;
        self.ran(ix, begun.map(|at| at.elapsed()));
        self.answered(ix, results.map_err(|error| NodeFailure::at(ix, error))?)
    }

    fn call_on_lane(&mut self, ix: NodeIx, call: &Call, lane: &Lane, prepared: Prepared) {
        let (mut cx, call, mailbox) = (self.cx(ix), Arc::clone(call), Arc::clone(&self.in_flight.mailbox));
        let class = Arc::clone(&self.engine.registry.classes[self.nodes[ix].class as usize]);
        let token = self.in_flight.submit_to_lane(ix);
        let job: Job = Box::new(move || {
            let begun = Instant::now();
            let mut args = Args::new(Arc::clone(&class.def));
            let results = call_all(&class, &call, &prepared, &mut cx, &mut args);
            // Values go before the news does: whoever hears it may look at the memory.
            drop((args, prepared, cx, token));
            mailbox.send(Completion { node: ix, results, elapsed: begun.elapsed() });
        });
        match lane {
            Lane::Serial(name) => self.engine.lanes.serial(name, job),
            Lane::Parallel | Lane::Inline => self.engine.lanes.parallel(job),
        }
    }

    fn start_waiting(&mut self, ix: NodeIx, class: &'e Class, start: &Start, prepared: &Prepared) {
        let calls = (0..prepared.calls)
            .map(|call| {
                let mut args = Args::new(Arc::clone(&class.def));
                let cx = Cx { call: call as u32, ..self.cx(ix) };
                let args = match prepared.fill(call, &mut args) {
                    Ok(()) => Ok(args),
                    Err(blocker) => Err(blocked(&blocker, &cx, class)),
                };
                (args, cx)
            })
            .collect();
        let all = start_all(Arc::clone(&class.def), Arc::clone(start), calls);
        self.in_flight.spawn(ix, all);
    }

    /// A call came back from a lane or from waiting.
    pub(super) fn complete_call(&mut self, completion: Completion) -> Result<(), NodeFailure> {
        let ix = completion.node;
        self.ran(ix, Some(completion.elapsed));
        self.answered(ix, completion.results.map_err(|error| NodeFailure::at(ix, error))?)
    }

    fn ran(&mut self, ix: NodeIx, elapsed: Option<std::time::Duration>) {
        self.summary.executed += 1;
        let node = &mut self.nodes[ix];
        node.runs += 1;
        if node.runs > 1 {
            self.summary.reexecuted += 1;
        }
        self.last_elapsed = elapsed.unwrap_or_default();
    }

    fn is_timed(&self) -> bool {
        self.shared.listener.is_some() || self.trace.is_some()
    }

    fn emit_running(&self, ix: NodeIx) {
        if self.shared.listener.is_none() {
            return;
        }
        let ids = self.nodes.ids(ix);
        let prompt_id = &self.shared.prompt_id;
        self.shared.emit_state(|| &ids, 0.0, 1.0, NodeState::Running);
        self.shared.emit(|| Event::Executing {
            node: Some(ids.id.clone()),
            display_node: Some(ids.display().clone()),
            prompt_id: prompt_id.clone(),
        });
    }
}
