//! Finishing: a node's outputs are stored, kept and shown, its readers wait no longer, its own inputs are released.

use std::sync::atomic::Ordering::Relaxed;

use kiln_graph::schedule::{NodeIx, State};

use crate::cache::{CacheItem, CachedResult, Entry, Key, Owner};
use crate::engine::NodeOutput;
use crate::error::NodeError;
use crate::node::Ui;
use crate::observe::{Event, NodeState, What};
use crate::run::execution::Execution;
use crate::spill::Spilling;
use crate::value::{Blocker, Value, Values};

impl Execution<'_> {
    /// A node has its outputs. They are taken out of the buffer.
    pub(super) fn complete(&mut self, ix: NodeIx, outputs: &mut Vec<Values>, ui: Option<Ui>) {
        outputs.resize(self.nodes[ix].sockets.count as usize, Values::One(Value::Null));
        self.inherit_failure(ix);
        let bytes = if outputs.is_empty() { 0 } else { outputs.iter().map(Values::bytes).sum() };
        self.keep(ix, outputs, ui.as_ref(), bytes);
        self.remember_size(ix, bytes);
        self.record_run(ix, bytes);
        self.show(ix, outputs, ui, false);
        self.store_outputs(ix, outputs.drain(..));
        self.unlink(ix);
        self.list.complete(ix);
        self.emit_finished(ix, bytes);
        if self.nodes[ix].added.is_some() {
            self.retire(ix);
        }
        let session = &mut *self.session;
        session.cache.settle(&mut session.live_bytes);
        self.give_back_what_is_owed();
        #[cfg(feature = "testing")]
        if let Some(adversary) = &self.options.adversary {
            let session = &mut *self.session;
            session.cache.evict(&**adversary, &mut session.live_bytes);
        }
    }

    /// Somebody asked for bytes of the cache while this run was at work with it.
    fn give_back_what_is_owed(&mut self) {
        if self.engine.owed.load(Relaxed) == 0 {
            return;
        }
        let owed = self.engine.owed.swap(0, Relaxed);
        let freed = self.session.give_back(owed);
        self.report_given_back(freed);
    }

    fn report_given_back(&self, freed: u64) {
        if let Some(observer) = self.engine.observer.as_ref().filter(|_| freed > 0) {
            observer.gave_back(freed);
        }
    }

    fn store_outputs(&mut self, ix: NodeIx, outputs: impl Iterator<Item = Values>) {
        let sockets = self.nodes[ix].sockets;
        for (number, values) in outputs.enumerate() {
            let number = number as u32;
            let Some(at) = sockets.at(number) else { continue };
            let spill = Spilling::to(self.spill.as_ref(), &self.engine.codecs);
            let released = self.store.put(at, values, &mut self.session.live_bytes, spill);
            self.was_released(ix, number, released);
        }
    }

    /// A node that reads from one that failed has only stand-ins to offer.
    pub(super) fn inherit_failure(&mut self, ix: NodeIx) {
        if self.failures.is_empty() {
            return;
        }
        let depends_on_failure =
            self.list.inputs(ix).any(|edge| self.nodes[self.list.edge(edge).from].flags.depends_on_failure);
        self.nodes[ix].flags.depends_on_failure |= depends_on_failure;
    }

    /// Keeps a result for later prompts, and for equal nodes of this one.
    fn keep(&mut self, ix: NodeIx, outputs: &[Values], ui: Option<&Ui>, bytes: u64) {
        let class = self.class(ix);
        if !self.keyed || self.nodes[ix].flags.depends_on_failure || !class.behaviour.cacheable {
            return;
        }
        let Some(key) = self.cache_key(ix) else { return };
        if self.session.cache.is_active() {
            let entry = Entry { outputs: outputs.into(), ui: ui.cloned().map(Box::new), bytes };
            let owner = self.owner(ix);
            let session = &mut *self.session;
            session.cache.insert(key, entry, owner, &mut session.live_bytes);
        }
        if let Some(provider) = &self.engine.provider
            && self.nodes.is_given(ix)
        {
            let item = CacheItem { key: &key, class_type: &class.def.class_type, codecs: &self.engine.codecs };
            if provider.should_cache(&item) {
                provider.store(&item, &CachedResult { outputs: outputs.to_vec(), ui: ui.cloned() });
            }
        }
    }

    fn owner(&self, ix: NodeIx) -> Option<Owner> {
        let added = self.nodes[ix].added.as_ref()?;
        if !self.session.cache.is_scoped() {
            return None;
        }
        let real = added.ancestry.real.clone();
        let class = self.nodes[self.nodes.find(&real)?].class;
        Some(Owner { real, class })
    }

    fn remember_size(&mut self, ix: NodeIx, bytes: u64) {
        if bytes > 0 && self.nodes.is_given(ix) {
            self.session.sizes.insert(self.nodes.id(ix), bytes);
        }
    }

    /// The result of this node, or of an equal one, if it was kept.
    fn look_for(&mut self, ix: NodeIx) -> Option<Entry> {
        if !self.keyed {
            return None;
        }
        let key = self.cache_key(ix)?;
        let session = &mut *self.session;
        if let Some(entry) = session.cache.get(&key, &mut session.live_bytes) {
            return Some(entry);
        }
        self.look_outside(ix, &key)
    }

    fn look_outside(&mut self, ix: NodeIx, key: &Key) -> Option<Entry> {
        let provider = self.engine.provider.as_ref()?;
        // A node is looked for when it joins the run, not again when its turn comes.
        if !self.nodes.is_given(ix) || self.list.state(ix) != State::Idle {
            return None;
        }
        let item = CacheItem { key, class_type: &self.class(ix).def.class_type, codecs: &self.engine.codecs };
        let found = provider.lookup(&item)?;
        let bytes = found.outputs.iter().map(Values::bytes).sum();
        Some(Entry { outputs: found.outputs.into(), ui: found.ui.map(Box::new), bytes })
    }

    /// A node that joins the run takes its result from the cache, if that is possible. Then it needs no inputs.
    pub(super) fn serve(&mut self, ix: NodeIx) -> bool {
        let Some(entry) = self.look_for(ix) else { return false };
        self.nodes[ix].links = None;
        self.serve_with(ix, &entry);
        if self.nodes[ix].flags.root {
            self.hits.insert(ix, entry);
        } else {
            self.list.complete(ix);
        }
        true
    }

    /// A node whose turn has come takes the result that an equal one left in the meantime.
    pub(super) fn serve_twin(&mut self, ix: NodeIx) -> bool {
        let Some(entry) = self.look_for(ix) else { return false };
        self.serve_with(ix, &entry);
        self.hits.insert(ix, entry);
        true
    }

    fn serve_with(&mut self, ix: NodeIx, entry: &Entry) {
        self.nodes[ix].flags.served = true;
        if !std::mem::take(&mut self.nodes[ix].flags.known) {
            self.summary.cached += 1;
        }
        self.record(ix, || What::Cached);
        self.store_outputs(ix, entry.outputs.iter().cloned());
    }

    /// The turn of a node whose result is there.
    pub(super) fn finish_served(&mut self, ix: NodeIx) {
        if let Some(entry) = self.hits.remove(&ix) {
            self.show(ix, &entry.outputs, entry.ui.map(|ui| *ui), true);
            self.shared.emit_state(|| self.nodes.ids(ix), 1.0, 1.0, NodeState::Finished);
        }
        self.unlink(ix);
        self.list.complete(ix);
        if self.nodes[ix].added.is_some() {
            self.retire(ix);
        }
    }

    /// What a node shows goes into the report and to whoever listens.
    fn show(&mut self, ix: NodeIx, outputs: &[Values], ui: Option<Ui>, cached: bool) {
        let is_output = self.class(ix).def.output_node;
        if ui.is_none() && !is_output {
            return;
        }
        let ids = self.nodes.ids(ix);
        let shown = ui.as_ref().filter(|ui| !ui.is_empty()).map(|ui| ui.as_json().clone().into());
        if shown.is_some() || cached {
            let (prompt_id, sockets) = (&self.shared.prompt_id, self.nodes[ix].sockets.count);
            self.emit(|| Event::Executed {
                node: ids.id.clone(),
                display_node: ids.display().clone(),
                output: shown,
                prompt_id: prompt_id.clone(),
                sockets,
            });
        }
        let output = NodeOutput {
            ui,
            values: if is_output { outputs.to_vec() } else { Vec::new() },
            display_node: ids.display().clone(),
            parent_node: ids.parent().cloned(),
            real_node: ids.real().clone(),
            cached,
        };
        self.outputs.insert(ids.id, output);
    }

    /// A node failed, and the run goes on without what depends on it.
    pub(super) fn isolate_failure(&mut self, ix: NodeIx, error: NodeError) {
        let failure = self.run_error(Some(ix), error);
        self.emit_failed(&failure);
        self.record(ix, || What::Failed);
        self.failures.push(failure);
        let flags = &mut self.nodes[ix].flags;
        (flags.failed, flags.depends_on_failure, flags.once) = (true, true, true);
        self.store.pin(self.nodes[ix].sockets);
        self.nodes[ix].expanding = None;
        let count = self.nodes[ix].sockets.count as usize;
        let blocker = Values::One(Value::Blocker(Blocker::silent()));
        self.store_outputs(ix, std::iter::repeat_n(blocker, count));
        self.unlink(ix);
        self.list.complete(ix);
    }

    /// Lets go of what the cache kept for the prompt before only.
    pub(super) fn clean_cache(&mut self) {
        if self.session.cache.len() == 0 {
            return;
        }
        for ix in (0..self.nodes.capacity() as u32).map(NodeIx) {
            let Some(key) = self.nodes.key(ix) else { continue };
            if self.session.cache.touch(&key) {
                // Known, also if nothing asks for it because what reads it is known as well.
                self.nodes[ix].flags.known = true;
                self.summary.cached += 1;
            }
        }
        let (prompt, registry) = (self.prompt, &self.engine.registry);
        let is_live = |owner: &Owner| {
            let expander = prompt.nodes.get(&owner.real);
            expander.is_some_and(|node| registry.position(&node.class_type) == Some(owner.class))
        };
        let session = &mut *self.session;
        let before = session.live_bytes.live();
        session.cache.clean(is_live, &mut session.live_bytes);
        let freed = before - session.live_bytes.live();
        self.report_given_back(freed);
    }

    fn emit_finished(&self, ix: NodeIx, bytes: u64) {
        if self.shared.listener.is_none() {
            return;
        }
        let (ids, prompt_id) = (self.nodes.ids(ix), &self.shared.prompt_id);
        self.shared.emit_state(|| &ids, 1.0, 1.0, NodeState::Finished);
        let micros = self.last_elapsed.as_micros() as u64;
        let sockets = self.nodes[ix].sockets.count;
        self.emit(|| Event::Finished { prompt_id: prompt_id.clone(), node: ids.id.clone(), micros, sockets, bytes });
    }
}
