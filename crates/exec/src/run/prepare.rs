//! Preparing a call: a node's literals, the values behind its links, and what the engine fills in.

use std::sync::Arc;

use kiln_graph::schedule::{NodeIx, Use};
use kiln_graph::{Input, PromptNode};

use crate::error::NodeError;
use crate::node::{Arg, Class, HiddenKind, HiddenValue, Schedule, literal};
use crate::run::call::{Prepared, Where};
use crate::run::execution::Execution;
use crate::run::failure::NodeFailure;
use crate::run::plan::find_input;

impl Execution<'_> {
    /// Gathers a node's inputs. Lazy ones that were not asked for stay absent.
    pub(super) fn prepare(
        &self,
        ix: NodeIx,
        node: &PromptNode,
        class: &Class,
        to: &mut Prepared,
    ) -> Result<(), NodeFailure> {
        to.clear();
        to.whole_lists = class.def.input_is_list;
        to.takes_blockers = class.behaviour.takes_blockers;
        to.inputs.reserve(node.inputs.len() + class.hidden.len());
        let mut edges = self.list.inputs(ix).peekable();
        for (at, (name, input)) in node.inputs.iter().enumerate() {
            let slot = find_input(class, name, at);
            let declared = slot.map(|slot| &class.def.inputs[slot]);
            let arg = match input {
                Input::Link(link) => {
                    let Some(edge) = edges.next_if(|edge| self.list.edge(*edge).input == at as u32) else { continue };
                    let edge = self.list.edge(edge);
                    if edge.usage == Use::Lazy {
                        continue;
                    }
                    if declared.is_some_and(|input| input.raw_link) {
                        Arg::Link(link.clone())
                    } else {
                        let socket = self.nodes[edge.from].sockets.at(edge.socket);
                        let values = socket.and_then(|socket| self.store.get(socket));
                        let Some(values) = values else { return Err(NodeFailure::at(ix, NodeError::missing(name))) };
                        Arg::Values(values.clone())
                    }
                }
                constant => {
                    if slot.is_none() && !class.def.accept_all_inputs {
                        continue;
                    }
                    let Some(values) = literal(constant) else { continue };
                    Arg::Values(values)
                }
            };
            let place = slot.map_or_else(|| Where::Extra(Arc::clone(name)), |slot| Where::Slot(slot as u32));
            to.inputs.push((place, arg));
        }
        for (slot, kind) in &class.hidden {
            to.inputs.push((Where::Slot(*slot as u32), Arg::Hidden(self.hidden(ix, *kind))));
        }
        to.count_calls();
        Ok(())
    }

    fn hidden(&self, ix: NodeIx, kind: HiddenKind) -> HiddenValue {
        match kind {
            HiddenKind::UniqueId => HiddenValue::UniqueId(self.nodes.id(ix)),
            HiddenKind::Prompt => HiddenValue::Prompt(Arc::clone(self.prompt)),
            HiddenKind::Live => HiddenValue::Live(Arc::clone(&self.graph)),
            HiddenKind::Schedule => HiddenValue::Schedule(Schedule::new(&self.shared.requests, self.nodes.id(ix))),
            HiddenKind::ExtraPngInfo => HiddenValue::ExtraPngInfo(self.options.extra_pnginfo.clone()),
        }
    }
}
