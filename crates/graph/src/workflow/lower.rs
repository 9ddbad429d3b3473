//! From workflow to prompt: which nodes are sent, in which order, with which inputs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::WorkflowError;
use super::instance::Instance;
use super::options::LowerOptions;
use super::order::order;
use super::resolve::{Resolver, Source};
use super::text::Rewriter;
use super::ui::{Mode, UiNode, Workflow};
use super::{grown, primitives, promoted, unfold, widgets};
use crate::def::{Definitions, NodeDef};
use crate::id::NodeId;
use crate::input::Input;
use crate::missing::MissingClasses;
use crate::prompt::{Prompt, PromptNode};

pub(super) fn lower(
    workflow: &Workflow,
    definitions: &dyn Definitions,
    options: &LowerOptions,
) -> Result<Prompt, WorkflowError> {
    let instances = unfold::unfold(workflow, definitions)?;
    let mut lowering = Lowering {
        definitions,
        instances: &instances,
        resolver: Resolver::new(&instances, definitions)?,
        rewriter: Rewriter::new(workflow, definitions, options),
        prompt: Prompt::default(),
        missing: MissingClasses::of_workflow(),
    };
    // Levels that are being written: an instance and what is left of its order.
    let mut open = vec![(0, order(instances[0].graph).into_iter())];
    while let Some((instance, rest)) = open.last_mut() {
        let Some(id) = rest.next() else {
            open.pop();
            continue;
        };
        let here = &instances[*instance];
        if let Some(inner) = here.children.get(id) {
            open.push((*inner, order(instances[*inner].graph).into_iter()));
        } else if let Some(node) = here.graph.nodes.get(id)
            && node.mode == Mode::Always
            && !node.is_virtual()
        {
            lowering.emit(*instance, id, node)?;
        }
    }
    if lowering.missing.is_empty() {
        Ok(lowering.prompt)
    } else {
        Err(WorkflowError::UnknownClasses(Box::new(lowering.missing)))
    }
}

struct Lowering<'i, 'w> {
    definitions: &'w dyn Definitions,
    instances: &'i [Instance<'w>],
    resolver: Resolver<'i, 'w>,
    rewriter: Rewriter<'w>,
    prompt: Prompt,
    missing: MissingClasses,
}

impl<'w> Lowering<'_, 'w> {
    fn emit(&mut self, instance: usize, id: &'w str, ui: &'w UiNode) -> Result<(), WorkflowError> {
        let here = &self.instances[instance];
        let path = format!("{}{id}", here.prefix);
        let Some(def) = self.definitions.get(&ui.ty) else {
            self.missing.add(&ui.ty, path, origin(ui), self.definitions);
            return Ok(());
        };
        let mut node = PromptNode { inputs_first: true, ..PromptNode::new(def.class_type.clone()) };
        for (input, stored) in widgets::values(def, ui) {
            let mut value =
                here.overrides.get(id).and_then(|values| values.get(&*input.name)).cloned().unwrap_or(stored);
            if primitives::replaces(here.graph, ui, &input.name) {
                self.rewriter.replace(&mut value);
            }
            self.literal(def, &input.name, value, &mut node);
        }
        for (name, value) in grown::values(ui) {
            node.inputs.insert(name.into(), stored(value));
        }
        for input in &ui.inputs {
            if let Some(source) = self.resolver.input(instance, id, input)? {
                self.lead(&source, def, &input.name.as_str().into(), &mut node);
            }
        }
        for fed in self.resolver.unlisted(instance, id, ui) {
            let source = self.resolver.resolve(instance, fed.feed, fed.ty)?;
            self.lead(&source, def, &fed.input.into(), &mut node);
        }
        let title = ui.title.as_deref().or(def.display_name.as_deref()).unwrap_or(&ui.ty);
        let origin = ["cnr_id", "aux_id", "ver"].into_iter();
        let origin = origin.filter_map(|key| Some((key.to_owned(), ui.properties.get(key)?.clone())));
        let title = std::iter::once(("title".to_owned(), json!(title)));
        node.meta = Some(title.chain(origin).collect::<Value>().into());
        self.prompt.nodes.insert(NodeId::from(path), node);
        Ok(())
    }

    /// Sets an input to what leads into it.
    fn lead(&mut self, source: &Source<'w>, def: &NodeDef, name: &Arc<str>, node: &mut PromptNode) {
        match *source {
            Source::Nothing => {}
            Source::Node { instance, node: source, slot } => {
                let source = format!("{}{source}", self.instances[instance].prefix);
                node.inputs.insert(Arc::clone(name), Input::link(source, slot));
            }
            Source::Own { instance, input } => {
                if let Some(value) = promoted::value(self.instances, instance, input, self.definitions) {
                    self.literal(def, name, value, node);
                }
            }
        }
    }

    fn literal(&mut self, def: &NodeDef, name: &Arc<str>, value: Value, node: &mut PromptNode) {
        let Some(input) = def.find_input(name) else {
            node.inputs.insert(name.clone(), stored(value));
            return;
        };
        let value = widgets::of_today(def, input, self.rewriter.rewrite(&def.class_type, input, value));
        if let Some(value) = widgets::sent(input, value) {
            node.inputs.insert(name.clone(), stored(value));
        }
    }
}

/// A stored value as an input: a list is a list here, never a link.
fn stored(value: Value) -> Input {
    if value.is_array() { Input::literal(value) } else { Input::from_json(value) }
}

/// The pack that the page says a node is from: its repository, else its name in the registry.
fn origin(node: &UiNode) -> Option<&str> {
    let text = |key: &str| node.properties.get(key)?.as_str();
    text("aux_id").or_else(|| text("cnr_id"))
}
