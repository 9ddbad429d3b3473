//! Loops by expansion: the closing node clones everything between the opening node and itself, one iteration at a time.

use std::collections::{HashMap, HashSet};

use kiln_exec::graph::{DynamicPrompt, Input, NodeId};
use kiln_exec::{
    Any, ConstantInputs, Cx, Execute, Expansion, GraphBuilder, IntoArg, IntoValue, Link, LivePrompt, Node, NodeError,
    NodeSpec, Out, Outcome, RawLink, Registry, Source, UniqueId, Value, kind, object,
};

use crate::common::variant;
use crate::logic::{TestIntMathOperation, TestToBoolNode};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestWhileLoopOpen>();
    registry.add::<TestWhileLoopClose>();
    registry.add::<TestForLoopOpen>();
    registry.add::<TestForLoopClose>();
}

/// What ties a closing node to its opening one. Carries nothing.
#[derive(Clone, Debug)]
pub struct FlowControl;

object!(FlowControl, "FLOW_CONTROL");

/// A value that may be missing.
fn or_null(value: Option<Any>) -> Any {
    value.unwrap_or(Any(Value::Null))
}

/// Values that go from iteration to iteration.
type Five = (Any, Any, Any, Any, Any);

/// Where an iteration begins.
#[derive(Node)]
#[node(
    display_name = "While Loop Open",
    category = "Testing/Flow",
    module = "custom_nodes.testing_nodes",
    outputs("FLOW_CONTROL", "value0", "value1", "value2", "value3", "value4"),
    validates(types)
)]
pub struct TestWhileLoopOpen {
    #[allow(dead_code, reason = "the closing node decides")]
    #[input(default = true)]
    condition: bool,
    initial_value0: Option<Any>,
    initial_value1: Option<Any>,
    initial_value2: Option<Any>,
    initial_value3: Option<Any>,
    initial_value4: Option<Any>,
}

impl Execute for TestWhileLoopOpen {
    type Output = (FlowControl, Any, Any, Any, Any, Any);

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<Self::Output, NodeError> {
        let Self { initial_value0, initial_value1, initial_value2, initial_value3, initial_value4, .. } = self;
        let [a, b, c, d, e] =
            [initial_value0, initial_value1, initial_value2, initial_value3, initial_value4].map(or_null);
        Ok((FlowControl, a, b, c, d, e))
    }
}

/// Where an iteration ends: with the values, or with another iteration.
#[derive(Node)]
#[node(
    display_name = "While Loop Close",
    category = "Testing/Flow",
    module = "custom_nodes.testing_nodes",
    outputs("value0", "value1", "value2", "value3", "value4"),
    validates(types)
)]
pub struct TestWhileLoopClose {
    flow_control: RawLink<FlowControl>,
    #[input(force_input)]
    condition: bool,
    initial_value0: Option<Any>,
    initial_value1: Option<Any>,
    initial_value2: Option<Any>,
    initial_value3: Option<Any>,
    initial_value4: Option<Any>,
    dynprompt: LivePrompt,
    unique_id: UniqueId,
}

/// The id of a closing node's clone.
const RECURSE: &str = "Recurse";

impl Execute for TestWhileLoopClose {
    type Output = Outcome<Five>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Five>, NodeError> {
        let Self { initial_value0, initial_value1, initial_value2, initial_value3, initial_value4, .. } = self;
        let values = [initial_value0, initial_value1, initial_value2, initial_value3, initial_value4];
        if !self.condition {
            let [a, b, c, d, e] = values.map(or_null);
            return Ok(Outcome::Done((a, b, c, d, e)));
        }
        let (me, open) = (self.unique_id.0, self.flow_control.link().node.clone());
        let live = &self.dynprompt.0;
        let contained = contained(live, &me, &open);
        let graph = cx.graph();
        let clones = clone_nodes(&graph, live, &contained, &me)?;
        for (original, clone) in &clones {
            relink(&graph, live, &clones, original, clone);
        }
        if let Some(open) = clones.get(&open) {
            for (i, value) in values.into_iter().enumerate() {
                let input = value.map(|value| Input::from(Source::from(value.0)));
                graph.set_input(open, &format!("initial_value{i}"), input);
            }
        }
        let recurse: NodeId = format!("{}{RECURSE}", graph.prefix()).as_str().into();
        let results = (0..5).map(|socket| Source::Link(Link::new(&recurse, socket))).collect();
        Ok(Outcome::Expand(Expansion::new(graph.into_prompt(), results)))
    }
}

/// Everything that lies between `open` and `close`, both included, in the order in which it was found.
fn contained(live: &DynamicPrompt, close: &NodeId, open: &NodeId) -> Vec<NodeId> {
    let consumers = consumers(live, close);
    let mut found = vec![open.clone(), close.clone()];
    let mut seen: HashSet<NodeId> = found.iter().cloned().collect();
    let mut todo = vec![open.clone()];
    while let Some(node) = todo.pop() {
        for consumer in consumers.get(&node).into_iter().flatten() {
            if seen.insert(consumer.clone()) {
                found.push(consumer.clone());
                todo.push(consumer.clone());
            }
        }
    }
    found
}

/// For each node upstream of `close`: who of them reads it.
fn consumers(live: &DynamicPrompt, close: &NodeId) -> HashMap<NodeId, Vec<NodeId>> {
    let mut consumers: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
    let mut todo = vec![close.clone()];
    let mut seen: HashSet<NodeId> = HashSet::new();
    while let Some(id) = todo.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        let Some(node) = live.get(id.as_ref()) else { continue };
        for link in node.inputs.values().filter_map(Input::as_link) {
            consumers.entry(link.node.clone()).or_default().push(id.clone());
            todo.push(link.node.clone());
        }
    }
    consumers
}

/// An empty clone of every node, shown under the original's id.
fn clone_nodes(
    graph: &GraphBuilder,
    live: &DynamicPrompt,
    contained: &[NodeId],
    me: &NodeId,
) -> Result<HashMap<NodeId, NodeId>, NodeError> {
    let mut clones = HashMap::new();
    for id in contained {
        let name = id.to_string();
        let node = live
            .get(&name)
            .ok_or_else(|| NodeError::new(format!("node \"{name}\" of the loop is not known any more")))?;
        let clone_name = if id == me { RECURSE } else { &name };
        let clone = graph.add_spec_as(clone_name, NodeSpec::new(&node.class_type));
        graph.display_as(&clone, id.clone());
        clones.insert(id.clone(), clone);
    }
    Ok(clones)
}

/// Gives a clone the original's inputs; links into the loop lead to the clones there.
fn relink(
    graph: &GraphBuilder,
    live: &DynamicPrompt,
    clones: &HashMap<NodeId, NodeId>,
    original: &NodeId,
    clone: &NodeId,
) {
    let Some(node) = live.get(original.as_ref()) else { return };
    for (name, input) in &node.inputs {
        let input = match input.as_link().and_then(|link| Some((clones.get(&link.node)?, link.socket))) {
            Some((source, socket)) => Input::Link(Link::new(source, socket)),
            None => input.clone(),
        };
        graph.set_input(clone, name, Some(input));
    }
}

/// Where a counted iteration begins.
#[derive(Node)]
#[node(
    display_name = "For Loop Open",
    category = "Testing/Flow",
    module = "custom_nodes.testing_nodes",
    outputs("flow_control", "remaining", "value1", "value2", "value3", "value4"),
    validates(types)
)]
pub struct TestForLoopOpen {
    #[input(default = 1, min = 0, max = 100_000, step = 1)]
    remaining: i64,
    initial_value1: Option<Any>,
    initial_value2: Option<Any>,
    initial_value3: Option<Any>,
    initial_value4: Option<Any>,
    #[input(hidden)]
    initial_value0: Option<Any>,
}

impl Execute for TestForLoopOpen {
    type Output = Outcome<(FlowControl, Any, Any, Any, Any, Any)>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<Self::Output, NodeError> {
        let Self { remaining, initial_value0, initial_value1, initial_value2, initial_value3, initial_value4 } = self;
        let remaining = initial_value0.unwrap_or(Any(remaining.into_value())).0;
        let values = [initial_value1, initial_value2, initial_value3, initial_value4].map(or_null);
        Ok(cx.expand(|graph| {
            let spec = NodeSpec::new("TestWhileLoopOpen")
                .input("condition", Source::from(remaining.clone()))
                .input("initial_value0", Source::from(remaining.clone()));
            let spec = (1..)
                .zip(&values)
                .fold(spec, |spec, (i, value)| spec.input(&format!("initial_value{i}"), Source::from(value.0.clone())));
            graph.add_spec(spec);
            let [a, b, c, d] = values.map(|value| Out::value(value.0));
            (Out::value(FlowControl.into_value()), Out::value(remaining), a, b, c, d)
        }))
    }
}

/// Where a counted iteration ends.
#[derive(Node)]
#[node(
    display_name = "For Loop Close",
    category = "Testing/Flow",
    module = "custom_nodes.testing_nodes",
    outputs("value1", "value2", "value3", "value4"),
    validates(types)
)]
pub struct TestForLoopClose {
    flow_control: RawLink<FlowControl>,
    initial_value1: Option<RawLink<Any>>,
    initial_value2: Option<RawLink<Any>>,
    initial_value3: Option<RawLink<Any>>,
    initial_value4: Option<RawLink<Any>>,
}

impl Execute for TestForLoopClose {
    type Output = Outcome<(Any, Any, Any, Any)>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<Self::Output, NodeError> {
        let flow = self.flow_control.link().clone();
        let values = [self.initial_value1, self.initial_value2, self.initial_value3, self.initial_value4];
        Ok(cx.expand(|graph| {
            let remaining = Out::<kind::Int>::link(&flow.node, 1);
            let rest = graph.add(TestIntMathOperation::node().operation("subtract").a(remaining).b(1));
            let more = graph.add(TestToBoolNode::node().value(&rest));
            let close = TestWhileLoopClose::node()
                .flow_control(Out::<FlowControl>::link(&flow.node, flow.socket))
                .condition(more)
                .initial_value0(rest);
            let [a, b, c, d] = values.map(|value| raw(value.as_ref()));
            let close = close.initial_value1(a).initial_value2(b).initial_value3(c).initial_value4(d);
            let (_, a, b, c, d) = graph.add(close);
            (a, b, c, d)
        }))
    }
}

/// The link itself, or null.
fn raw(link: Option<&RawLink<Any>>) -> Out<kind::Any> {
    match link {
        Some(raw) => Out::link(&raw.link().node, raw.link().socket),
        None => Value::Null.into_arg(),
    }
}
