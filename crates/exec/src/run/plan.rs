//! Planning: classes looked up, links resolved, keys computed. Each node once, sources before readers, iteratively.

use kiln_graph::schedule::NodeIx;
use kiln_graph::{Input, PromptNode, Route};

use crate::cache::Key;
use crate::error::{ErrorKind, NodeError};
use crate::node::{Class, ConstantInputs, Fingerprint};
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::store::Retention;

impl<'e> Execution<'e> {
    pub(super) fn class(&self, ix: NodeIx) -> &'e Class {
        &self.engine.registry.classes[self.nodes[ix].class as usize]
    }

    /// Plans these nodes, and everything they may need where keys are asked for: a key is made of the sources' keys.
    pub(super) fn plan(&mut self, roots: impl IntoIterator<Item = NodeIx>) -> Result<(), NodeFailure> {
        let mut stack: Vec<(NodeIx, usize)> = Vec::new();
        for root in roots {
            if self.open(root)? {
                if self.keyed {
                    stack.push((root, 0));
                } else {
                    self.identify(root)?;
                }
            }
            while let Some((ix, cursor)) = stack.last_mut() {
                let ix = *ix;
                let next = self.nodes.links(ix).get(*cursor).map(|link| NodeIx(link.source));
                *cursor += 1;
                if let Some(source) = next {
                    if self.open(source)? {
                        stack.push((source, 0));
                    }
                } else {
                    stack.pop();
                    self.identify(ix)?;
                }
            }
        }
        Ok(())
    }

    /// Begins the planning of a node. Returns false if that was done before.
    fn open(&mut self, ix: NodeIx) -> Result<bool, NodeFailure> {
        if std::mem::replace(&mut self.nodes[ix].flags.planned, true) {
            return Ok(false);
        }
        let Some(node) = self.nodes.source(ix) else { return Ok(false) };
        let class = self.look_up(ix, &node)?;
        if self.nodes.routes(ix).is_none() {
            let links = self.resolve(ix, &node)?;
            self.nodes.set_links(ix, links);
        }
        let outputs = class.def.outputs.len() as u32;
        let sockets = self.store.allocate(outputs);
        if self.options.retention == Retention::Eager && class.has_lazy {
            self.lazy_uncounted |= self.nodes.links(ix).iter().any(|link| self.is_lazy(ix, class, link));
        }
        let node = &mut self.nodes[ix];
        node.sockets = sockets;
        node.flags.once |= class.run_once;
        if class.run_once {
            self.store.pin(sockets);
        }
        Ok(true)
    }

    /// Whether a link stands in an input that the node may leave unread.
    pub(super) fn is_lazy(&self, ix: NodeIx, class: &Class, link: &Route) -> bool {
        if !class.has_lazy {
            return false;
        }
        let at = link.input as usize;
        let Some(node) = self.nodes.source(ix) else { return false };
        let Some((name, _)) = node.inputs.get_index(at) else { return false };
        find_input(class, name, at).is_some_and(|slot| class.def.inputs[slot].lazy)
    }

    fn look_up(&mut self, ix: NodeIx, node: &PromptNode) -> Result<&'e Class, NodeFailure> {
        let registry = &self.engine.registry;
        let at = match self.nodes.class_number(ix) {
            Some(number) => self.classes.get(number as usize).copied().flatten(),
            None => registry.position(&node.class_type),
        };
        let Some(at) = at else {
            let message = format!("there is no node class `{}`", node.class_type);
            return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::UnknownClass, message)));
        };
        self.nodes[ix].class = at;
        Ok(&registry.classes[at as usize])
    }

    /// The links among a node's inputs, by number.
    pub(super) fn resolve(&self, ix: NodeIx, node: &PromptNode) -> Result<Vec<Route>, NodeFailure> {
        let mut links = Vec::with_capacity(node.inputs.len());
        for (at, (name, input)) in node.inputs.iter().enumerate() {
            let Input::Link(link) = input else { continue };
            let Some(from) = self.nodes.find(&link.node) else {
                let message = format!("input `{name}` is linked to node \"{}\", which does not exist", link.node);
                return Err(NodeFailure::at(ix, NodeError::of(ErrorKind::DanglingLink, message)));
            };
            links.push(Route { source: from.0, socket: link.socket as u32, input: at as u32 });
        }
        Ok(links)
    }

    /// What a node's value depends on: pins what differs every time, and computes the key where keys are asked for.
    fn identify(&mut self, ix: NodeIx) -> Result<(), NodeFailure> {
        let Some(node) = self.nodes.source(ix) else { return Ok(()) };
        let class = self.class(ix);
        let fingerprint = self.fingerprint(ix, class, &node)?;
        if fingerprint == Fingerprint::Always && !self.nodes[ix].flags.once {
            self.nodes[ix].flags.once = true;
            self.store.pin(self.nodes[ix].sockets);
        }
        if !self.keyed {
            return Ok(());
        }
        let id = if class.keyed_by_id { Some(self.nodes.id(ix)) } else { None };
        let (nodes, links) = (&self.nodes, self.nodes.links(ix));
        // Links stand in input order.
        let source =
            |input: u32| nodes.key(NodeIx(links[links.binary_search_by_key(&input, |link| link.input).ok()?].source));
        let key = self.keys.key(class, id.as_ref(), &node, &fingerprint, source);
        self.nodes.set_key(ix, key);
        Ok(())
    }

    fn fingerprint(&mut self, ix: NodeIx, class: &Class, node: &PromptNode) -> Result<Fingerprint, NodeFailure> {
        if let Some(given) = &node.is_changed {
            return Ok(Fingerprint::from_json((**given).clone()));
        }
        let Some(of) = &class.behaviour.fingerprint else { return Ok(Fingerprint::Stable) };
        let known = ConstantInputs::new(&node.inputs, &self.engine.host);
        self.pause(ix);
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| of(&known)));
        self.resume()?;
        Ok(match found {
            Ok(Ok(fingerprint)) => fingerprint,
            Ok(Err(error)) => {
                tracing::warn!(class = %class.def.class_type, %error, "fingerprint failed; the node runs every time");
                Fingerprint::Always
            }
            Err(_) => Fingerprint::Always,
        })
    }

    /// The key under which a node's result is kept in the engine's cache; `None` when it must not be.
    pub(super) fn cache_key(&self, ix: NodeIx) -> Option<Key> {
        let node = &self.nodes[ix];
        let key = self.nodes.key(ix)?;
        match &node.added {
            Some(_) if node.depth >= self.options.tail_depth => None,
            Some(added) if self.session.cache.is_scoped() => {
                Some(crate::cache::key::scoped(&key, &added.ancestry.parent))
            }
            _ => Some(key),
        }
    }
}

/// The position of a declared input. Inputs mostly stand in the order of declaration: look there first.
pub(super) fn find_input(class: &Class, name: &str, hint: usize) -> Option<usize> {
    let inputs = &class.def.inputs;
    if inputs.get(hint).is_some_and(|input| &*input.name == name) {
        return Some(hint);
    }
    inputs.iter().position(|input| &*input.name == name)
}
