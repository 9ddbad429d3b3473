//! Validation: is this prompt fit to run, and if not, which input of which node is wrong?
//!
//! Reports ComfyUI's error types, messages and shapes (its 2026 line), adds errors of its own for links to nodes
//! and sockets that do not exist, and never walks recursively: a chain of a million nodes is as good as one of ten.
//! Values are brought to their declared types in place, as ComfyUI does. Knows definitions, not how nodes run: a
//! class's own validator is asked through [`Validators`].

mod classes;
mod coerce;
mod cycle;
mod error;
mod links;
mod literal;
mod loop_graph;
mod loops;
mod node;
mod replace;
mod routes;
mod validators;
mod walk;

pub use self::error::{ErrorKind, MOST_REPORTED, NodeErrors, PromptError, ValidationError};
pub use self::routes::{Route, Routes};
pub use self::validators::{NoValidators, ValidatorCall, Validators, Verdict};

use std::fmt;
use std::sync::Arc;

use crate::def::{Definitions, NodeDef};
use crate::id::NodeId;
use crate::map::{Map, Set};
use crate::prompt::Prompt;

/// A prompt of which at least one output node can run.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The output nodes that are fit to run, in the prompt's order. Run these and what they need.
    pub outputs: Vec<NodeId>,
    /// What is wrong with the others and with the nodes that they need.
    pub node_errors: Map<NodeId, NodeErrors>,
    /// Of which class the nodes are, and where the links of those that were looked at lead.
    pub routes: Arc<Routes>,
}

impl fmt::Display for Validated {
    /// What is wrong with the outputs that will not run; nothing when all is well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.node_errors.is_empty() {
            return write!(f, "{} outputs will run", self.outputs.len());
        }
        write!(f, "{} outputs will run, others cannot", self.outputs.len())?;
        error::write_node_errors(f, &self.node_errors)
    }
}

/// Checks a prompt and brings its literals to their declared types.
///
/// `targets` restricts the run to those output nodes; ids in it that are no output nodes are ignored. Only what the
/// outputs need is checked (lazy inputs too), except that every node's class must be known. Links in inputs that the
/// class does not declare are followed as well, because they are resolved when the node runs. Nodes of classes that
/// ComfyUI has replaced since become nodes of what took their place.
///
/// # Errors
/// [`PromptError`] when a class is unknown, when there is no output node, or when no output node is fit to run.
pub fn validate(
    prompt: &mut Prompt,
    definitions: &dyn Definitions,
    validators: &dyn Validators,
    targets: Option<&[NodeId]>,
) -> Result<Validated, PromptError> {
    let classes::Classes { defs, names, numbers } = match classes::look_up(prompt, definitions) {
        Err(_) if replace::replace(prompt, definitions) => classes::look_up(prompt, definitions)?,
        classes => classes?,
    };
    let outputs = output_nodes(prompt, &defs, targets);
    if outputs.is_empty() {
        return Err(no_outputs(prompt.is_empty(), targets.is_some()).into());
    }
    let mut walk = walk::Walk::new(prompt, &defs, Routes::new(numbers, names), validators);
    let (mut good, bad): (Vec<u32>, Vec<u32>) = outputs.into_iter().partition(|output| walk.is_valid(*output));
    let broken_loops = walk.pair_loops(&good, &bad);
    good.retain(|output| !broken_loops.iter().any(|broken| broken.outputs.contains(output)));
    let (mut node_errors, routes) = walk.finish(&bad);
    let outputs: Vec<NodeId> = good.iter().filter_map(|i| id_at(prompt, *i)).cloned().collect();
    if outputs.is_empty() {
        let own = bad.iter().filter_map(|i| node_errors.get(id_at(prompt, *i)?)).flat_map(|node| &node.errors);
        let of_loops = broken_loops.iter().map(|broken| &*broken.error);
        let lines: Vec<String> = own.chain(of_loops).map(|e| format!("{}: {}", e.message, e.details)).collect();
        report_loops(prompt, broken_loops, &mut node_errors);
        let error = ValidationError::new(ErrorKind::PromptOutputsFailedValidation)
            .message("Prompt outputs failed validation")
            .details(lines.join("\n"))
            .plain("the prompt cannot run");
        return Err(PromptError { error: Box::new(error), node_errors });
    }
    report_loops(prompt, broken_loops, &mut node_errors);
    Ok(Validated { outputs, node_errors, routes: Arc::new(routes) })
}

/// What is wrong with a loop stands with every node that takes part in it.
fn report_loops(prompt: &Prompt, broken: Vec<loops::LoopError>, node_errors: &mut Map<NodeId, NodeErrors>) {
    for loops::LoopError { nodes, outputs, error } in broken {
        let outputs: Vec<NodeId> = outputs.iter().filter_map(|output| id_at(prompt, *output)).cloned().collect();
        for (id, node) in nodes.iter().filter_map(|node| prompt.nodes.get_index(*node as usize)) {
            let errors = node_errors.entry(id.clone()).or_insert_with(|| NodeErrors::new(node.class_type.clone()));
            errors.add((*error).clone(), &outputs);
        }
    }
}

fn id_at(prompt: &Prompt, index: u32) -> Option<&NodeId> {
    prompt.nodes.get_index(index as usize).map(|(id, _)| id)
}

fn output_nodes(prompt: &Prompt, defs: &[&NodeDef], targets: Option<&[NodeId]>) -> Vec<u32> {
    let targets: Option<Set<&NodeId>> = targets.map(|ids| ids.iter().collect());
    let wanted = |id: &NodeId| targets.as_ref().is_none_or(|targets| targets.contains(id));
    let outputs = prompt.nodes.keys().zip(defs).enumerate().filter(|(_, (id, def))| def.output_node && wanted(id));
    outputs.map(|(index, _)| index as u32).collect()
}

fn no_outputs(empty: bool, targeted: bool) -> ValidationError {
    let plain = match (empty, targeted) {
        (true, _) => "the prompt is empty",
        (_, true) => "none of the nodes asked for is an output node",
        _ => "the prompt has no output node: add one that shows or saves something, such as SaveImage",
    };
    ValidationError::new(ErrorKind::PromptNoOutputs).message("Prompt has no outputs").plain(plain)
}
