//! Two nodes that plain functions cannot be: one that reads only the branch it needs, one that
//! returns a graph.
//!
//!     cargo run --release --example custom_node
#![allow(clippy::print_stdout)]

use std::sync::{Arc, Mutex};

use kiln::exec::{Cx, Engine, Event, Execute, GraphBuilder, Lazy, Node, NodeError, Outcome, Registry};

/// Hands on one of two numbers; the other is never computed.
#[derive(Node)]
#[node(category = "logic")]
struct Choose {
    /// Take the first?
    first: bool,
    a: Lazy<i64>,
    b: Lazy<i64>,
}

impl Execute for Choose {
    type Output = i64;
    fn needs(&self) -> Vec<&'static str> {
        vec![if self.first { "a" } else { "b" }]
    }
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        if self.first { self.a.get() } else { self.b.get() }
    }
}

/// Adds one.
#[derive(Node)]
#[node(category = "math")]
struct Increment {
    value: i64,
}

impl Execute for Increment {
    type Output = i64;
    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.value + 1)
    }
}

/// Adds `times`, one at a time: every step is a node of its own, made while the graph runs.
#[derive(Node)]
#[node(category = "math")]
struct Count {
    value: i64,
    #[input(min = 0, max = 100_000, default = 3)]
    times: u32,
}

impl Execute for Count {
    type Output = Outcome<i64>;
    fn execute(self, cx: &mut Cx) -> Result<Outcome<i64>, NodeError> {
        if self.times == 0 {
            return Ok(Outcome::Done(self.value));
        }
        Ok(cx.expand(|graph| {
            let next = graph.add(Increment::node().value(self.value));
            graph.add(Count::node().value(next).times(self.times - 1))
        }))
    }
}

/// Shows a number.
#[derive(Node)]
#[node(output_node)]
struct Show {
    value: i64,
}

impl Execute for Show {
    type Output = ();
    fn execute(self, _: &mut Cx) -> Result<(), NodeError> {
        println!("the answer is {}", self.value);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new().with::<Choose>().with::<Increment>().with::<Count>().with::<Show>();
    let engine = Engine::new(registry);

    let graph = GraphBuilder::new();
    let never = graph.add(Increment::node().value(1000));
    let counted = graph.add(Count::node().value(39).times(3));
    let chosen = graph.add(Choose::node().first(false).a(never).b(counted));
    graph.add(Show::node().value(chosen));

    let ran = Arc::new(Mutex::new(Vec::new()));
    let log = ran.clone();
    let listener = move |event: &Event| {
        if let (Event::Executing { node: Some(node), .. }, Ok(mut log)) = (event, log.lock()) {
            log.push(node.to_string());
        }
    };
    engine.start(graph.into_prompt()).on_event(listener).run()?;
    if let Ok(ran) = ran.lock() {
        println!("ran {}", ran.join(", "));
    }
    Ok(())
}
