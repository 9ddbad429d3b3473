//! The engine end to end, in small.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

use kiln_exec::*;

#[derive(Node)]
struct Const {
    value: i64,
}
impl Execute for Const {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.value)
    }
}

#[derive(Node)]
struct Add {
    a: i64,
    b: i64,
}
impl Execute for Add {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.a + self.b)
    }
}

#[derive(Node)]
struct Range {
    n: i64,
}
impl Execute for Range {
    type Output = List<i64>;
    fn execute(self, _: &mut Cx) -> Result<List<i64>, NodeError> {
        Ok((0..self.n).collect())
    }
}

#[derive(Node)]
#[node(async)]
struct Later {
    value: i64,
}
impl ExecuteAsync for Later {
    type Output = i64;
    async fn execute(self, _: Cx) -> Result<i64, NodeError> {
        Ok(self.value)
    }
}

/// Counts down by expansion.
#[derive(Node)]
struct CountDown {
    from: i64,
}
impl Execute for CountDown {
    type Output = Outcome<i64>;
    fn execute(self, cx: &mut Cx) -> Result<Outcome<i64>, NodeError> {
        if self.from == 0 {
            return Ok(Outcome::Done(0));
        }
        Ok(cx.expand(|g| {
            let less = g.add(Add::node().a(self.from).b(-1));
            g.add_as("again", CountDown::node().from(less))
        }))
    }
}

#[derive(Node)]
#[node(output_node)]
struct Sink {
    values: List<i64>,
}
impl Execute for Sink {
    type Output = WithUi<()>;
    fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let mut ui = Ui::new();
        self.values.iter().for_each(|value| ui.push("v", *value));
        Ok(WithUi { outcome: (), ui })
    }
}

fn engine() -> Engine {
    Engine::new(
        Registry::new()
            .with::<Const>()
            .with::<Add>()
            .with::<Range>()
            .with::<Later>()
            .with::<CountDown>()
            .with::<Sink>(),
    )
}

fn shown(report: &Report) -> Vec<i64> {
    report
        .outputs
        .values()
        .flat_map(|o| o.ui.as_ref().unwrap().get("v").unwrap_or_default())
        .map(|v| v.as_i64().unwrap())
        .collect()
}

#[test]
fn a_chain_with_lists_and_a_waiting_node_gives_its_values() {
    let g = GraphBuilder::new();
    let range = g.add(Range::node().n(3));
    let sum = g.add(Add::node().a(range).b(g.add(Later::node().value(10))));
    g.add(Sink::node().values(sum));
    let report = engine().run(g.into_prompt()).unwrap();
    assert_eq!(shown(&report), [10, 11, 12]);
    assert_eq!(report.summary.executed, 4);
}

#[test]
fn the_same_prompt_again_runs_nothing_and_shows_the_same() {
    let engine = engine();
    let g = GraphBuilder::new();
    g.add(Sink::node().values(g.add(Add::node().a(1).b(2))));
    let prompt = g.into_prompt();
    engine.run(prompt.clone()).unwrap();
    let again = engine.run(prompt).unwrap();
    assert_eq!(again.summary.executed, 0);
    assert_eq!(shown(&again), [3]);
}

#[test]
fn a_loop_of_a_hundred_thousand_expansions_keeps_few_nodes() {
    let g = GraphBuilder::new();
    g.add(Sink::node().values(g.add(CountDown::node().from(100_000))));
    let report = engine().run(g.into_prompt()).unwrap();
    assert_eq!(shown(&report), [0]);
    assert!(report.summary.peak_nodes < 10_000, "{:?}", report.summary);
}

#[test]
fn a_failing_node_names_itself_and_the_engine_goes_on() {
    let engine = engine();
    let g = GraphBuilder::new();
    g.add(Sink::node().values(g.add(Add::node().a(i64::MAX).b(1))));
    let failed = engine.run(g.into_prompt()).unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::Panicked);
    assert_eq!(failed.class_type(), Some("Add"));
    let g = GraphBuilder::new();
    g.add(Sink::node().values(g.add(Const::node().value(5))));
    assert_eq!(shown(&engine.run(g.into_prompt()).unwrap()), [5]);
}

#[test]
fn a_chain_of_a_hundred_thousand_nodes_runs_where_recursion_would_not() {
    use kiln_exec::graph::{Input, PromptNode};
    let mut prompt = Prompt::new();
    prompt.insert("0", PromptNode::new("Const").with("value", json!(1)));
    for i in 1..100_000 {
        let last = Input::link((i - 1).to_string(), 0);
        prompt.insert(i.to_string(), PromptNode::new("Add").with("a", last).with("b", json!(1)));
    }
    prompt.insert("end", PromptNode::new("Sink").with("values", Input::link("99999", 0)));
    let report = engine().run(prompt).unwrap();
    assert_eq!(shown(&report), [100_000]);
}

#[test]
fn a_list_of_a_million_elements_is_mapped_and_joined() {
    let g = GraphBuilder::new();
    let sum = g.add(Add::node().a(g.add(Range::node().n(1_000_000))).b(1));
    g.add(Sink::node().values(g.add(Add::node().a(sum).b(0))));
    assert_eq!(shown(&engine().run(g.into_prompt()).unwrap()).len(), 1_000_000);
}
