//! Nodes with every attribute that derives to a path in the engine's crate. The crate that includes this file calls the
//! engine `crate::engine`, whatever its manifest calls it; the derive has to find that out by itself.

use crate::engine::{
    Combo, ConstantInputs, Cx, Engine, Execute, ExecuteAsync, GraphBuilder, Host, Node, NodeClass, NodeError, Registry,
    Ui, WithUi,
};

fn sizes(_: &Host) -> Vec<String> {
    vec!["small".into(), "large".into()]
}

/// Adds.
#[derive(Node)]
#[node(
    class = "Sum",
    display_name = "Sum of two",
    category = "math",
    aliases("plus"),
    outputs(sum),
    validates(a, types),
    version = 2,
    uncached,
    parallel
)]
struct Add {
    /// The first.
    #[input(min = 0, max = 9, default = 1, option("slider" = true))]
    a: i64,
    #[input(name = "b", optional, default = 1)]
    second: Option<i64>,
    #[input(combo = ["once", "twice"])]
    times: Combo,
    #[input(options = ["exact", "rounded"])]
    how: Combo,
    #[input(choices = sizes)]
    size: Combo,
}
impl Execute for Add {
    type Output = i64;
    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        match known.get_as::<i64>("a") {
            Some(7) => Err("not seven".into()),
            _ => Ok(()),
        }
    }
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        let times = if &*self.times == "twice" { 2 } else { 1 };
        let sum = (self.a + self.second.unwrap_or(0)) * times;
        let unit = if &*self.size == "large" { 100 } else { 10 };
        Ok(if &*self.how == "rounded" { sum / unit * unit } else { sum })
    }
}

/// Waits for nothing.
#[derive(Node)]
#[node(async, lane = "clock")]
struct Later {
    value: i64,
}
impl ExecuteAsync for Later {
    type Output = i64;
    async fn execute(self, _: Cx) -> Result<i64, NodeError> {
        Ok(self.value)
    }
}

#[derive(Node)]
#[node(output_node)]
struct Show {
    value: i64,
}
impl Execute for Show {
    type Output = WithUi<()>;
    fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
        Ok(WithUi { outcome: (), ui: Ui::new().with("value", self.value) })
    }
}

#[test]
fn every_attribute_of_the_derive_finds_the_engine() {
    let engine = Engine::new(Registry::new().with::<Add>().with::<Later>().with::<Show>());
    let graph = GraphBuilder::new();
    let sum = Add::node().a(6).second(2).times("twice").how("rounded").size("small");
    let later = graph.add(Later::node().value(graph.add(sum)));
    graph.add_as("shown", Show::node().value(later));
    let report = engine.run(graph.into_prompt()).unwrap();
    assert_eq!(report.ui("shown").unwrap().get("value").unwrap(), [10]);
}

#[test]
fn what_the_attributes_say_stands_in_the_definition() {
    let definition = format!("{:?}", Add::def());
    for said in ["Sum of two", "plus", "slider", "rounded"] {
        assert!(definition.contains(said), "{said} is missing in {definition}");
    }
}
