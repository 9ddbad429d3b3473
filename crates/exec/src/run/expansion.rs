//! Expansion: a node returns a graph. Its nodes join the run, and its results become the node's outputs.

use std::sync::Arc;

use kiln_graph::schedule::{Edge, EdgeIx, NodeIx, State, Use};
use kiln_graph::{NodeId, Prompt, PromptNode};

use crate::build::Source;
use crate::engine::LateEdges;
use crate::error::{ErrorKind, NodeError};
use crate::node::{Ancestry, Answer, Ui};
use crate::observe::{Event, What};
use crate::run::call::CallResult;
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::run::link::RESULT;
use crate::run::nodes::{Added, CallReply, Expanding, Node};
use crate::store::Retention;
use crate::value::{Blocker, Value, Values};

impl Execution<'_> {
    /// At least one call of the node returned a graph.
    pub(super) fn expand(&mut self, ix: NodeIx, results: Vec<CallResult>) -> Result<(), NodeFailure> {
        self.summary.expanded += 1;
        if self.options.retention == Retention::StaticOnly {
            self.store.keep_everything();
            self.keeps_everything = true;
        }
        let mut expanding = Expanding { calls: Vec::new(), ui: None, children: Vec::new() };
        let count = self.nodes[ix].sockets.count as usize;
        for CallResult { answer, mut produced } in results {
            join_ui(&mut expanding.ui, produced.ui.take());
            expanding.calls.push(match answer {
                Answer::Done => CallReply::Values(padded(produced.outputs, count)),
                Answer::Block(_) => CallReply::Values(vec![Values::One(Value::Blocker(Blocker::silent())); count]),
                Answer::Expand(expansion) => {
                    self.add_nodes(ix, expansion.graph, &mut expanding.children)?;
                    let mut replies = expansion.results;
                    replies.resize(count, Source::Values(Values::One(Value::Null)));
                    CallReply::Results(replies)
                }
            });
        }
        self.emit_expanded(ix, &expanding.children);
        self.list.grow(self.nodes.capacity(), 0);
        // What it was called with is let go of here; what it answered stems from that all the same.
        self.inherit_failure(ix);
        let old = self.take_inputs(ix);
        self.check_restriction(ix, &expanding, &old)?;
        self.plan(expanding.children.iter().copied())?;
        let result = match self.tail_targets(ix, &expanding)? {
            Some(targets) => self.forward_readers(ix, &expanding, &targets),
            None => self.wait_for_results(ix, expanding),
        };
        result?;
        self.drop_edges(old);
        Ok(())
    }

    fn add_nodes(&mut self, ix: NodeIx, graph: Prompt, children: &mut Vec<NodeIx>) -> Result<(), NodeFailure> {
        let (parent, depth) = (self.nodes.id(ix), self.nodes[ix].depth + 1);
        if depth > self.options.max_depth {
            let message = format!("expansions are {depth} deep; the limit is {}", self.options.max_depth);
            return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::Limit, message)));
        }
        let known = self.nodes.len() + graph.len();
        if known > self.options.max_nodes as usize {
            let message = format!("the graph has grown to {known} nodes; the limit is {}", self.options.max_nodes);
            return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::Limit, message)));
        }
        children.reserve(graph.len());
        for (id, node) in graph.nodes {
            let child = self.add_node(ix, &parent, depth, id, node)?;
            children.push(child);
        }
        Ok(())
    }

    fn add_node(
        &mut self,
        ix: NodeIx,
        parent: &NodeId,
        depth: u32,
        id: NodeId,
        node: PromptNode,
    ) -> Result<NodeIx, NodeFailure> {
        if let Some(old) = self.nodes.find(&id) {
            if self.nodes.is_given_id(&id) || self.nodes.ids(old).parent() != Some(parent) {
                let message = format!(
                    "the expansion adds a node \"{id}\", but there is one of that id already; use the builder's ids"
                );
                return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::DuplicateId, message)));
            }
            if self.stays(old) {
                self.nodes[old].flags.detached = false;
                return Ok(old);
            }
            let sockets = std::mem::take(&mut self.nodes[old].sockets);
            self.store.free(sockets, &mut self.session.live_bytes);
            self.list.dismiss(old);
        }
        let node = Arc::new(node);
        let added = Arc::make_mut(&mut self.graph).add(id.clone(), Arc::clone(&node), parent);
        let ancestry =
            Ancestry { display: added.display.clone(), parent: added.parent.clone(), real: added.real.clone() };
        let added = Added { id, node, ancestry: Arc::new(ancestry) };
        Ok(self.nodes.add(Node { depth, added: Some(Box::new(added)), ..Node::default() }))
    }

    /// Whether a node of an earlier expansion of the same node goes on as it is when that node expands again.
    fn stays(&self, old: NodeIx) -> bool {
        match self.list.state(old) {
            State::Absent => false,
            State::Done => self.list.is_wanted(old) || self.nodes[old].flags.once,
            _ => true,
        }
    }

    fn take_inputs(&mut self, ix: NodeIx) -> Vec<Edge> {
        std::iter::from_fn(|| self.list.pop_input(ix)).collect()
    }

    /// Under *restrict* an expansion links to its own nodes and to those that already connect to the expanding node.
    fn check_restriction(&self, ix: NodeIx, expanding: &Expanding, old: &[Edge]) -> Result<(), NodeFailure> {
        if self.options.late_edges != LateEdges::Restrict {
            return Ok(());
        }
        // An edge may have moved on to what its source handed over to; the name that the node knows counts as well.
        let node = self.nodes.source(ix);
        let named = node.iter().flat_map(|node| node.links()).filter_map(|(_, link)| self.nodes.find(&link.node));
        let own: std::collections::HashSet<NodeIx> =
            expanding.children.iter().copied().chain(old.iter().map(|edge| edge.from)).chain(named).collect();
        let allowed = |node: &NodeId| self.nodes.find(node).is_some_and(|found| own.contains(&found));
        let nodes = expanding.children.iter().filter_map(|child| self.nodes.source(*child));
        let links: Vec<NodeId> =
            nodes.flat_map(|node| node.links().map(|(_, link)| link.node.clone()).collect::<Vec<_>>()).collect();
        let results = expanding.calls.iter().flat_map(|call| match call {
            CallReply::Results(replies) => replies.as_slice(),
            CallReply::Values(_) => &[],
        });
        let results = results.filter_map(|reply| match reply {
            Source::Link(link) => Some(&link.node),
            Source::Values(_) => None,
        });
        if let Some(wrong) = links.iter().chain(results).find(|node| !allowed(node)) {
            let message = format!(
                "the expansion links to \"{wrong}\", which does not connect to the expanding node; \
                 link it into an input of that node, or allow late edges"
            );
            return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::RestrictedLink, message)));
        }
        Ok(())
    }

    /// The node waits for the outputs that its results name.
    fn wait_for_results(&mut self, ix: NodeIx, expanding: Expanding) -> Result<(), NodeFailure> {
        let mut sources = Vec::new();
        for (number, link) in (0_u32..).zip(expanding.calls.iter().flat_map(result_links)) {
            let from = self.find_result(ix, &link.node)?;
            self.plan([from])?;
            let edge = self.connect(from, link.socket as u32, ix, RESULT | number, Use::Strong)?;
            self.wait_for(edge, &mut sources)?;
        }
        let shows: Vec<NodeIx> =
            expanding.children.iter().copied().filter(|child| self.class(*child).def.output_node).collect();
        // To run again would mean to run those again.
        if !self.nodes[ix].flags.once && expanding.children.iter().any(|child| self.nodes[*child].flags.once) {
            self.nodes[ix].flags.once = true;
            self.store.pin(self.nodes[ix].sockets);
        }
        self.nodes[ix].expanding = Some(Box::new(expanding));
        self.list.schedule(ix);
        for source in sources {
            self.demand(source)?;
        }
        for child in shows {
            self.nodes[child].flags.root = true;
            self.demand(child)?;
        }
        self.list.settle(ix);
        Ok(())
    }

    fn find_result(&self, ix: NodeIx, node: &NodeId) -> Result<NodeIx, NodeFailure> {
        self.nodes.find(node).ok_or_else(|| {
            let message = format!("a result of the expansion is an output of node \"{node}\", which does not exist");
            NodeFailure::at(ix, NodeError::of(ErrorKind::DanglingLink, message))
        })
    }

    /// What a node's readers may read in its place: per socket an output that the expansion named. `None` unless that
    /// is all the node still does, deep enough in a loop for it to matter.
    fn tail_targets(&self, ix: NodeIx, expanding: &Expanding) -> Result<Option<Vec<(NodeIx, u32)>>, NodeFailure> {
        let node = &self.nodes[ix];
        let [CallReply::Results(replies)] = expanding.calls.as_slice() else { return Ok(None) };
        let is_tail = node.added.is_some()
            && !self.keeps_everything
            && node.depth >= self.options.tail_depth
            && !node.flags.once
            && !node.flags.root
            && expanding.ui.is_none()
            && !expanding.children.iter().any(|child| self.nodes[*child].flags.once)
            && replies.iter().all(|reply| matches!(reply, Source::Link(_)));
        // Whoever holds the link itself may name this node later. A node that runs again for one of its outputs has
        // readers that need nothing new.
        if !is_tail || self.list.outputs(ix).any(|edge| self.reads_raw(edge) || self.is_apart(edge)) {
            return Ok(None);
        }
        let mut targets = Vec::with_capacity(replies.len());
        for reply in replies {
            let Source::Link(link) = reply else { return Ok(None) };
            let target = self.find_result(ix, &link.node)?;
            if target == ix {
                return Ok(None);
            }
            targets.push((target, link.socket as u32));
        }
        Ok(Some(targets))
    }

    /// Whether the reader does not count now but may ask later, when what the outputs lead to is forgotten; or has its
    /// value already.
    fn is_apart(&self, at: EdgeIx) -> bool {
        let edge = self.list.edge(at);
        let uncounted = self.options.retention == Retention::Eager
            && (edge.usage == Use::Lazy || self.list.state(edge.to) == State::Idle);
        uncounted || self.nodes[edge.from].sockets.at(edge.socket).is_some_and(|at| self.store.is_present(at))
    }

    fn reads_raw(&self, at: EdgeIx) -> bool {
        let edge = self.list.edge(at);
        let Some(node) = self.nodes.source(edge.to).filter(|_| edge.input & RESULT == 0) else { return false };
        let Some((name, _)) = node.inputs.get_index(edge.input as usize) else { return false };
        self.class(edge.to).def.find_input(name).is_some_and(|input| input.raw_link)
    }

    /// The node's readers become readers of what its outputs lead to, and the node is done.
    fn forward_readers(
        &mut self,
        ix: NodeIx,
        expanding: &Expanding,
        targets: &[(NodeIx, u32)],
    ) -> Result<(), NodeFailure> {
        let edges: Vec<_> = self.list.outputs(ix).collect();
        let mut sources = Vec::new();
        for at in edges {
            let edge = *self.list.edge(at);
            let Some((target, socket)) = targets.get(edge.socket as usize).copied() else { continue };
            self.nodes[edge.to].flags.depends_on_failure |= self.nodes[ix].flags.depends_on_failure;
            self.plan([target])?;
            let place = (self.nodes[ix].sockets.at(edge.socket), self.nodes[target].sockets.at(socket));
            let (Some(old), Some(new)) = place else {
                let message = format!("a result of the expansion is output {socket} of a node that has fewer outputs");
                return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::DanglingLink, message)));
            };
            let strong = edge.usage == Use::Strong && self.list.state(edge.to) != State::Idle;
            self.store.move_reader(old, new, strong);
            let present = self.list.state(target) == State::Done && self.store.is_present(new);
            self.list.redirect(at, target, socket, present);
            if present {
                self.recall(target, socket, edge.to)?;
            } else {
                if self.list.state(target) == State::Done {
                    self.rerun(target, socket, edge.to)?;
                }
                if strong {
                    sources.push(target);
                } else {
                    self.admit(target)?;
                }
            }
        }
        // Results run also where nobody reads them: there may be output nodes in expansions of theirs.
        for (target, _) in targets {
            self.plan([*target])?;
            if self.list.state(*target) != State::Done {
                sources.push(*target);
            }
        }
        for source in sources {
            self.demand(source)?;
        }
        let shows: Vec<NodeIx> =
            expanding.children.iter().copied().filter(|child| self.class(*child).def.output_node).collect();
        for child in shows {
            self.nodes[child].flags.root = true;
            self.demand(child)?;
        }
        self.list.complete(ix);
        self.release_children(&expanding.children);
        self.retire(ix);
        Ok(())
    }

    /// The expansion is over: its nodes stay known only as long as somebody refers to them.
    fn release_children(&mut self, children: &[NodeIx]) {
        for child in children {
            self.nodes[*child].flags.detached = true;
            self.retire(*child);
        }
    }

    /// All results are there.
    pub(super) fn resolve_expansion(&mut self, ix: NodeIx) {
        let Some(expanding) = self.nodes[ix].expanding.take() else { return };
        let Expanding { calls, ui, children } = *expanding;
        let count = self.nodes[ix].sockets.count as usize;
        let mut found = vec![None; self.list.inputs(ix).count()];
        for at in self.list.inputs(ix) {
            let edge = self.list.edge(at);
            let values = self.nodes[edge.from].sockets.at(edge.socket).and_then(|socket| self.store.get(socket));
            if let Some(place) = found.get_mut((edge.input & !RESULT) as usize) {
                *place = values.cloned();
            }
        }
        let mut results = found.into_iter();
        let mut outputs: Vec<Vec<Values>> = vec![Vec::new(); count];
        for call in calls {
            let values: Vec<Values> = match call {
                CallReply::Values(values) => values,
                CallReply::Results(replies) => replies
                    .into_iter()
                    .map(|reply| match reply {
                        Source::Values(values) => values,
                        Source::Link(_) => results.next().flatten().unwrap_or(Values::One(Value::Null)),
                    })
                    .collect(),
            };
            outputs.iter_mut().zip(values).for_each(|(all, one)| all.push(one));
        }
        let mut outputs: Vec<Values> = outputs.into_iter().map(joined).collect();
        self.release_children(&children);
        self.complete(ix, &mut outputs, ui);
    }

    fn emit_expanded(&mut self, ix: NodeIx, children: &[NodeIx]) {
        self.record(ix, || What::Expanded { nodes: children.len() });
        if self.shared.listener.is_some() {
            let (node, nodes) = (self.nodes.id(ix), children.iter().map(|child| self.nodes.id(*child)).collect());
            let prompt_id = self.shared.prompt_id.clone();
            self.shared.emit(|| Event::Expanded { prompt_id, node, nodes });
        }
    }
}

/// The links among one call's results, in socket order.
fn result_links(call: &CallReply) -> impl Iterator<Item = &kiln_graph::Link> {
    let replies = match call {
        CallReply::Results(replies) => replies.as_slice(),
        CallReply::Values(_) => &[],
    };
    replies.iter().filter_map(|reply| match reply {
        Source::Link(link) => Some(link),
        Source::Values(_) => None,
    })
}

/// One list after the other; a single one is shared as it is.
pub(super) fn joined(mut lists: Vec<Values>) -> Values {
    match lists.len() {
        1 => lists.pop().unwrap_or_else(Values::empty),
        _ => lists.iter().flat_map(Values::iter).cloned().collect(),
    }
}

/// Exactly `count` outputs.
pub(super) fn padded(mut outputs: Vec<Values>, count: usize) -> Vec<Values> {
    outputs.resize(count, Values::One(Value::Null));
    outputs
}

/// What the calls of a mapped node show, joined.
pub(super) fn join_ui(all: &mut Option<Ui>, one: Option<Ui>) {
    match (all.as_mut(), one) {
        (Some(all), Some(one)) => all.join(&one),
        (None, one) => *all = one,
        (Some(_), None) => {}
    }
}
