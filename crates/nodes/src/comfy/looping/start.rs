//! The start of a loop: reads how often it runs, and returns the graph of all iterations.

use std::sync::Arc;

use kiln_exec::graph::{Input, Link, NodeId, Prompt, PromptNode};
use kiln_exec::{
    Args, Cx, DynNode, DynReply, Expansion, LivePrompt, NodeError, Outcome, Schedule, Source, UniqueId, Value, Values,
};

use super::body::Body;
use super::boundaries::{ACCUMULATE, INITIAL, NEXT, OUTPUT, start_def};
use super::counter::Counter;

/// So many nodes a loop may become. (A million of them take about a gigabyte.)
const MOST_NODES: u64 = 1_000_000;

pub(super) fn node() -> DynNode {
    DynNode::new(start_def(), run)
}

fn run(args: &mut Args, cx: &mut Cx) -> Result<DynReply, NodeError> {
    let items = items(args)?;
    let counter = counter(args, items.as_ref())?;
    let reuse = args.get_as::<bool>("cache_iterations").unwrap_or_default();
    let id = args.take::<UniqueId>("unique_id")?.0;
    let graph = args.take::<LivePrompt>("dynprompt")?.0;
    let schedule = args.take::<Schedule>("execution_list")?;
    let body = Body::of(&id, &graph)?;
    check_size(&body, counter)?;
    let initial = graph.get(id.as_ref()).and_then(|node| node.inputs.get(INITIAL)).cloned();
    let unrolled = Unrolled { id: &id, body: &body, counter, items, reuse, prefix: cx.graph().prefix().to_owned() };
    let expanded = unrolled.graph(initial);
    take_over(&schedule, &body);
    cx.show_text(&id, || format!("Iteration 0 / {}", counter.count()));
    let nothing = || Source::from(Value::Null);
    let (first, last) = (Source::from(Value::Bool(false)), Source::from(Value::Bool(counter.count() == 0)));
    let results = vec![nothing(), first, last, nothing(), nothing()];
    Ok(Outcome::<Vec<Values>>::Expand(Expansion::new(expanded, results)).into())
}

/// The list that the loop walks through, if it is that sort of loop.
fn items(args: &Args) -> Result<Option<Values>, NodeError> {
    if args.get_as::<String>("mode")? != "List" {
        return Ok(None);
    }
    let list = args.list("mode.list").cloned();
    list.map(Some).ok_or_else(|| NodeError::new("input `mode.list` is required in List mode; link a list to it"))
}

fn counter(args: &Args, items: Option<&Values>) -> Result<Counter, NodeError> {
    let number = |name: &str, default: i128| if args.has(name) { args.get_as::<i128>(name) } else { Ok(default) };
    match (items, args.get_as::<String>("mode")?.as_str()) {
        (Some(items), _) => Ok(Counter::times(items.len() as i128)),
        (None, "simple") => Ok(Counter::times(number("mode.num_iterations", 4)?)),
        (None, "For") => Counter::range(
            number("mode.start_iteration_index", 0)?,
            number("mode.max_iteration", 4)?,
            number("mode.step", 1)?,
        ),
        (None, other) => Err(NodeError::new(format!("there is no mode `{other}`; choose simple, For or List"))),
    }
}

fn check_size(body: &Body<'_>, counter: Counter) -> Result<(), NodeError> {
    let (times, each) = (counter.count(), body.len() as u64 + 2);
    if times.saturating_mul(each) <= MOST_NODES {
        return Ok(());
    }
    Err(NodeError::new(format!(
        "{times} iterations of {each} nodes each are too many: a loop may become {MOST_NODES} nodes; repeat less often, \
         or nest two loops"
    )))
}

/// The iterations take the place of the body, and the end waits for them.
fn take_over(schedule: &Schedule, body: &Body<'_>) {
    let mut waiting = PromptNode::new(body.end_node.class_type.clone());
    if let Some(accumulate) = body.end_node.inputs.get(ACCUMULATE) {
        waiting.inputs.insert(ACCUMULATE.into(), accumulate.clone());
    }
    schedule.override_node(body.end.clone(), waiting);
    schedule.block(body.end.clone());
    schedule.inhibit_nodes(body.ids().cloned());
}

/// A loop that is being written down iteration by iteration.
struct Unrolled<'a> {
    id: &'a NodeId,
    body: &'a Body<'a>,
    counter: Counter,
    items: Option<Values>,
    reuse: bool,
    prefix: String,
}

/// What the end of a loop is linked to.
struct EndInputs<'a> {
    output: Option<&'a Link>,
    next: Option<&'a Link>,
    terminations: Vec<&'a Link>,
    /// All outputs may be wanted.
    accumulates: bool,
}

impl<'a> EndInputs<'a> {
    fn of(end: &'a PromptNode) -> Self {
        let link = |name: &str| end.inputs.get(name).and_then(Input::as_link);
        let terminations = end.links().filter(|(name, _)| name.starts_with("termination")).map(|(_, link)| link);
        let accumulates = match end.inputs.get(ACCUMULATE) {
            Some(Input::Literal(value)) => value.as_bool().unwrap_or_default(),
            // What is linked there is not known yet: the end chooses.
            linked => linked.is_some(),
        };
        Self { output: link(OUTPUT), next: link(NEXT), terminations: terminations.collect(), accumulates }
    }
}

impl Unrolled<'_> {
    fn graph(&self, initial: Option<Input>) -> Prompt {
        let mut graph = Prompt::new();
        let ends = EndInputs::of(self.body.end_node);
        let mut result = PromptNode::new("LoopResult").with("close_id", text(&self.body.end));
        let (mut carried, mut dependencies, mut progress) = (initial, Vec::new(), None);
        for (position, index) in (0_u64..).zip(self.counter.indices()) {
            let iteration = self.begin(position, index, carried.as_ref(), &dependencies);
            let iteration_id = self.named("iteration", position);
            graph.insert(iteration_id.clone(), iteration);
            let copies = self.body.copy(&mut graph, &self.prefix, position, iteration_id);
            let output = ends.output.map(|link| copies.link(link));
            let is_last = position + 1 == self.counter.count();
            if let Some(output) = output.as_ref().filter(|_| is_last || ends.accumulates) {
                let place = if ends.accumulates { position } else { 0 };
                result.inputs.insert(format!("output{place}").into(), Input::Link(output.clone()));
            }
            let next = ends.next.map(|link| copies.link(link));
            carried = next.clone().map(Input::Link).or(carried);
            let terminations = ends.terminations.iter().map(|link| copies.link(link));
            dependencies = output.into_iter().chain(next).chain(terminations).collect();
            let id = self.named("progress", position);
            graph.insert(id.clone(), self.tell(position, progress.as_ref(), &dependencies));
            progress = Some(id);
        }
        if let Some(progress) = &progress {
            result.inputs.insert("progress".into(), Input::Link(Link::new(progress, 0)));
        }
        graph.insert(NodeId::from(format!("{}result", self.prefix)), depending(result, &dependencies));
        graph
    }

    fn named(&self, what: &str, position: u64) -> NodeId {
        format!("{}{what}_{position}", self.prefix).into()
    }

    fn begin(&self, position: u64, index: i128, carried: Option<&Input>, dependencies: &[Link]) -> PromptNode {
        let value = |value: Value| Input::from(Source::from(value));
        let mut node = PromptNode::new("LoopIteration")
            .with("iteration_index", value(Value::Int(index)))
            .with("is_first", value(Value::Bool(position == 0)))
            .with("is_last", value(Value::Bool(position + 1 == self.counter.count())))
            .with("reuse_cache", self.reuse_cache());
        node.override_display_id = Some(self.id.clone());
        if let Some(item) = self.items.as_ref().and_then(|items| items.at(position as usize)) {
            node.inputs.insert("list_item".into(), value(item.clone()));
        }
        if let Some(carried) = carried {
            node.inputs.insert("current_iteration_value".into(), carried.clone());
        }
        depending(node, dependencies)
    }

    /// Whether results of other runs may be taken. A payload has no key, and neither has what depends on it; so nothing
    /// of the iteration is found in a cache, and nothing is held on to for that.
    fn reuse_cache(&self) -> Input {
        if self.reuse { Input::literal(true) } else { Input::Opaque(Arc::new(Values::One(Value::Bool(false)))) }
    }

    fn tell(&self, position: u64, previous: Option<&NodeId>, dependencies: &[Link]) -> PromptNode {
        let mut node = PromptNode::new("LoopProgress")
            .with("start_id", text(self.id))
            .with("position", Input::literal(position + 1))
            .with("total", Input::literal(self.counter.count()));
        if let Some(previous) = previous {
            node.inputs.insert("previous_progress".into(), Input::Link(Link::new(previous, 0)));
        }
        depending(node, dependencies)
    }
}

fn text(id: &NodeId) -> Input {
    Input::literal(id.to_string())
}

fn depending(mut node: PromptNode, dependencies: &[Link]) -> PromptNode {
    for (number, link) in dependencies.iter().enumerate() {
        node.inputs.insert(format!("dependency{number}").into(), Input::Link(link.clone()));
    }
    node
}
