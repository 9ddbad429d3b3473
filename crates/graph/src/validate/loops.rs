//! Loops: which start belongs to which end, and whether the nodes between them stay between them.
//!
//! Pairs innermost ends first, each with the nearest start that is free, and writes what lies between into the start's
//! node (`_loop_body`, `_loop_end`), where the class that repeats it looks. Knows boundaries by what their class
//! declares, and links; knows no class by name and nothing of how loops run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::error::{ErrorKind, MOST_REPORTED, ValidationError};
use super::loop_graph::LoopGraph;
use crate::def::{LoopBoundary, NodeDef};
use crate::map::{Map, Set};
use crate::prompt::Prompt;

/// Under these keys a start's node names the nodes of its body and its end.
const BODY: &str = "_loop_body";
const END: &str = "_loop_end";

/// One thing that is wrong with loops: with which nodes, and which outputs depend on them.
pub(super) struct LoopError {
    pub(super) nodes: Vec<u32>,
    pub(super) outputs: Vec<u32>,
    pub(super) error: Box<ValidationError>,
}

/// A start, its end, and what lies between.
struct Pair {
    start: u32,
    end: u32,
    body: Vec<u32>,
}

/// Pairs the loop boundaries that `outputs` need or lead to. `seen` are the nodes that validation came to.
///
/// What is wrong with one loop says nothing of the others: the outputs that depend on it are left out, and the rest is
/// paired.
pub(super) fn pair(
    prompt: &mut Prompt,
    defs: &[&NodeDef],
    mut outputs: Vec<u32>,
    mut seen: impl FnMut(u32) -> bool,
) -> Vec<LoopError> {
    let all = |wanted: LoopBoundary| -> Set<u32> {
        (0..defs.len() as u32).filter(|node| defs[*node as usize].loop_boundary == Some(wanted)).collect()
    };
    let (mut starts, mut ends) = (all(LoopBoundary::Start), all(LoopBoundary::End));
    let mut errors = Vec::new();
    if starts.is_empty() && ends.is_empty() {
        return errors;
    }
    forget(prompt, &starts);
    let mut known: Set<u32> = (0..defs.len() as u32).filter(|node| seen(*node)).collect();
    while errors.len() < MOST_REPORTED {
        let graph = LoopGraph::new(prompt, &outputs, &known, &starts, &ends);
        match (Pairing { prompt, graph: &graph }).pairs() {
            Ok(pairs) => {
                remember(prompt, &pairs);
                break;
            }
            Err(error) => {
                if error.outputs.is_empty() {
                    // No output depends on it, so it stands in nobody's way; but it cannot be paired.
                    starts.retain(|start| !error.nodes.contains(start));
                    ends.retain(|end| !error.nodes.contains(end));
                }
                outputs.retain(|output| !error.outputs.contains(output));
                known = graph.needed_by(&outputs);
                errors.push(error);
            }
        }
    }
    errors
}

/// A prompt that ran before carries what was found then.
fn forget(prompt: &mut Prompt, starts: &Set<u32>) {
    for start in starts {
        let Some((_, node)) = prompt.nodes.get_index_mut(*start as usize) else { continue };
        if let Some(extra) = &mut node.extra {
            extra.remove(BODY);
            extra.remove(END);
        }
    }
}

fn remember(prompt: &mut Prompt, pairs: &[Pair]) {
    for pair in pairs {
        let (body, end) = (names(prompt, &pair.body), name(prompt, pair.end));
        let Some((_, node)) = prompt.nodes.get_index_mut(pair.start as usize) else { continue };
        let extra = node.extra.get_or_insert_default();
        extra.insert(BODY.to_owned(), json!(body));
        extra.insert(END.to_owned(), json!(end));
    }
}

fn name(prompt: &Prompt, node: u32) -> String {
    prompt.nodes.get_index(node as usize).map(|(id, _)| id.to_string()).unwrap_or_default()
}

/// The ids of these nodes, sorted.
fn names<'n>(prompt: &Prompt, nodes: impl IntoIterator<Item = &'n u32>) -> Vec<String> {
    let mut names: Vec<String> = nodes.into_iter().map(|node| name(prompt, *node)).collect();
    names.sort_unstable();
    names
}

/// The search for pairs in one graph.
struct Pairing<'g> {
    prompt: &'g Prompt,
    graph: &'g LoopGraph,
}

impl Pairing<'_> {
    fn pairs(&self) -> Result<Vec<Pair>, LoopError> {
        let mut order = EndOrder::new(self);
        let mut free: Set<u32> = self.graph.starts.clone();
        let mut open: Set<u32> = self.graph.ends.clone();
        let mut pairs = Vec::with_capacity(open.len());
        while !open.is_empty() {
            let Some(end) = order.next() else { return Err(self.cycle(&open)) };
            let start = self.start_of(end, &free)?;
            free.swap_remove(&start);
            open.swap_remove(&end);
            order.done(end);
            self.check_closed(start, end, &open)?;
            pairs.push(Pair { start, end, body: Vec::new() });
        }
        if !free.is_empty() {
            return Err(self.without_end(&free));
        }
        for pair in &mut pairs {
            pair.body = self.graph.between(pair.start, pair.end);
            self.check_accumulate(pair)?;
        }
        Ok(pairs)
    }

    /// The nearest free start above this end: the one below all others that could be meant.
    fn start_of(&self, end: u32, free: &Set<u32>) -> Result<u32, LoopError> {
        let candidates = self.graph.starts_above(end, free);
        if candidates.len() == 1
            && let Some(only) = candidates.first()
        {
            return Ok(*only);
        }
        if candidates.is_empty() {
            return Err(self.without_start(end));
        }
        let below = |start: &u32| self.graph.starts_below(*start);
        let reach: Vec<(u32, Set<u32>)> = candidates.iter().map(|start| (*start, below(start))).collect();
        let nearest = |start: &&u32| reach.iter().all(|(other, below)| other == *start || below.contains(*start));
        let mut closest = candidates.iter().filter(nearest);
        match (closest.next(), closest.next()) {
            (Some(start), None) => Ok(*start),
            _ => Err(self.ambiguous(end, &candidates)),
        }
    }

    /// Nothing that the start leads to may be reached but through its end. Ends that are paired already are inner ones
    /// and may be crossed.
    fn check_closed(&self, start: u32, end: u32, open: &Set<u32>) -> Result<(), LoopError> {
        let escapes = self.graph.escapes(start, end, open);
        if escapes.is_empty() {
            return Ok(());
        }
        let (start_name, end_name) = (name(self.prompt, start), name(self.prompt, end));
        let list = names(self.prompt, &escapes).join(", ");
        let actors = escapes.iter().copied().chain([start, end]);
        Err(self.error(
            "loop_escape",
            "Loop body is not closed",
            format!("Start Loop {start_name} reaches {list} without passing through End Loop {end_name}"),
            format!("the loop from \"{start_name}\" to \"{end_name}\" also leads to {list}; link that behind its end"),
            actors,
        ))
    }

    fn check_accumulate(&self, pair: &Pair) -> Result<(), LoopError> {
        let Some((end_id, node)) = self.prompt.nodes.get_index(pair.end as usize) else { return Ok(()) };
        let link = node.inputs.get("accumulate").and_then(crate::input::Input::as_link);
        let Some(source) = link.and_then(|link| self.prompt.nodes.get_index_of(&link.node)) else { return Ok(()) };
        let source = source as u32;
        if source != pair.start && !pair.body.contains(&source) {
            return Ok(());
        }
        let (start_id, source_id) = (name(self.prompt, pair.start), name(self.prompt, source));
        Err(self.error(
            "loop_accumulate_from_body",
            "End Loop accumulate depends on its loop body",
            format!("End Loop {end_id} accumulate is driven by loop node {source_id} under Start Loop {start_id}"),
            format!("input `accumulate` is linked to \"{source_id}\" inside of its own loop; link it from outside"),
            [pair.start, pair.end, source],
        ))
    }

    fn without_start(&self, end: u32) -> LoopError {
        let id = name(self.prompt, end);
        self.error(
            "loop_end_without_start",
            "End Loop has no Start Loop",
            format!("End Loop {id} has no available Start Loop"),
            "no loop begins above it; link it to what depends on the start of a loop".to_owned(),
            [end],
        )
    }

    fn ambiguous(&self, end: u32, candidates: &Set<u32>) -> LoopError {
        let (id, list) = (name(self.prompt, end), names(self.prompt, candidates).join(", "));
        self.error(
            "ambiguous_loop_nesting",
            "End Loop has ambiguous Start Loops",
            format!("End Loop {id} can close multiple unrelated Start Loops: {list}"),
            format!(
                "\"{id}\" depends on several loops of which none is inside of another: {list}; nest them, or end each"
            ),
            candidates.iter().copied().chain([end]),
        )
    }

    fn without_end(&self, starts: &Set<u32>) -> LoopError {
        let list = names(self.prompt, starts).join(", ");
        self.error(
            "loop_start_without_end",
            "Start Loop has no End Loop",
            format!("Start Loops without End Loops: {list}"),
            format!("no loop ends below {list}; link what is repeated into the end of a loop"),
            starts.iter().copied(),
        )
    }

    fn cycle(&self, ends: &Set<u32>) -> LoopError {
        let list = names(self.prompt, ends).join(", ");
        self.error(
            "loop_end_cycle",
            "End Loops depend on each other",
            format!("End Loops form a cycle: {list}"),
            format!("the ends of loops {list} need each other; remove one of the links between them"),
            ends.iter().copied(),
        )
    }

    fn error(
        &self,
        kind: &str,
        message: &str,
        details: String,
        plain: String,
        actors: impl IntoIterator<Item = u32>,
    ) -> LoopError {
        let actors: Set<u32> = actors.into_iter().collect();
        let outputs = self.graph.outputs_below(&actors);
        let error = ValidationError::new(ErrorKind::CustomValidationFailed)
            .message(message)
            .details(details)
            .info("input_name", "loop boundary".into())
            .info("loop_error_type", kind.into())
            .info("node_ids", ids(self.prompt, &actors))
            .info("output_ids", ids(self.prompt, &outputs))
            .plain(plain);
        let by_id = |nodes: Set<u32>| {
            let mut nodes: Vec<u32> = nodes.into_iter().collect();
            nodes.sort_unstable_by_key(|node| name(self.prompt, *node));
            nodes
        };
        LoopError { nodes: by_id(actors), outputs: by_id(outputs), error: Box::new(error) }
    }
}

fn ids(prompt: &Prompt, nodes: &Set<u32>) -> Value {
    names(prompt, nodes).into()
}

/// The ends, each after those above it; of several that may come, the one whose id is first in the alphabet.
struct EndOrder {
    /// By end: how many ends above it are not done.
    waits: Map<u32, usize>,
    /// By end: the ends below it.
    below: Map<u32, Vec<u32>>,
    ready: BTreeSet<(String, u32)>,
    names: Map<u32, String>,
}

impl EndOrder {
    fn new(pairing: &Pairing<'_>) -> Self {
        let names = pairing.graph.ends.iter().map(|end| (*end, name(pairing.prompt, *end))).collect();
        let mut this = Self { waits: Map::default(), below: Map::default(), ready: BTreeSet::new(), names };
        for end in &pairing.graph.ends {
            let above = pairing.graph.ends_above(*end);
            for other in &above {
                this.below.entry(*other).or_default().push(*end);
            }
            this.waits.insert(*end, above.len());
            if above.is_empty() {
                this.make_ready(*end);
            }
        }
        this
    }

    fn make_ready(&mut self, end: u32) {
        self.ready.insert((self.names.get(&end).cloned().unwrap_or_default(), end));
    }

    fn next(&mut self) -> Option<u32> {
        self.ready.pop_first().map(|(_, end)| end)
    }

    fn done(&mut self, end: u32) {
        for below in self.below.get(&end).cloned().unwrap_or_default() {
            let Some(waits) = self.waits.get_mut(&below) else { continue };
            *waits -= 1;
            if *waits == 0 {
                self.make_ready(below);
            }
        }
    }
}
