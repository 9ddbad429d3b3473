//! The engine in an app of one's own, through `kiln` alone: a payload, a lazy node, one that expands, one that waits,
//! events, a cancel.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kiln::exec::{
    self as engine, Cancel, Cx, Engine, Event, Execute, ExecuteAsync, GraphBuilder, Lazy, Node, NodeError, Out,
    Outcome, Registry, Ui, Value, WithUi, object,
};

#[path = "../shared/attributes.rs"]
mod attributes;

/// What travels on links here: a word and how loud it is said.
#[derive(Clone)]
struct Shout {
    word: Arc<str>,
    loud: u32,
}
object!(Shout, "SHOUT", |shout| shout.word.len() as u64);

#[derive(Node)]
struct Say {
    word: String,
}
impl Execute for Say {
    type Output = Shout;
    fn execute(self, _: &mut Cx) -> Result<Shout, NodeError> {
        Ok(Shout { word: self.word.into(), loud: 0 })
    }
}

/// Takes the branch that is asked for; the other one is not even computed.
#[derive(Node)]
struct Choose {
    first: bool,
    a: Lazy<Shout>,
    b: Lazy<Shout>,
}
impl Execute for Choose {
    type Output = Shout;
    fn needs(&self) -> Vec<&'static str> {
        vec![if self.first { "a" } else { "b" }]
    }
    fn execute(self, _: &mut Cx) -> Result<Shout, NodeError> {
        if self.first { self.a.get() } else { self.b.get() }
    }
}

/// Louder by one, later.
#[derive(Node)]
#[node(async)]
struct Louder {
    shout: Shout,
}
impl ExecuteAsync for Louder {
    type Output = Shout;
    async fn execute(self, _: Cx) -> Result<Shout, NodeError> {
        Ok(Shout { loud: self.shout.loud + 1, ..self.shout })
    }
}

/// Louder by `times`: a graph of as many nodes, made while the graph runs.
#[derive(Node)]
struct Crescendo {
    shout: Shout,
    times: u32,
}
impl Execute for Crescendo {
    type Output = Outcome<Shout>;
    fn execute(self, cx: &mut Cx) -> Result<Outcome<Shout>, NodeError> {
        if self.times == 0 {
            return Ok(Outcome::Done(self.shout));
        }
        Ok(cx.expand(|graph| {
            let louder = graph.add(Louder::node().shout(Out::<Shout>::value(Value::object(self.shout))));
            graph.add(Crescendo::node().shout(louder).times(self.times - 1))
        }))
    }
}

/// Makes more steps than anyone waits for.
#[derive(Node)]
struct Endless {
    shout: Shout,
}
impl Execute for Endless {
    type Output = Shout;
    fn execute(self, cx: &mut Cx) -> Result<Shout, NodeError> {
        let mut progress = cx.progress(u32::MAX);
        for _ in 0..u32::MAX {
            progress.step()?;
        }
        Ok(self.shout)
    }
}

#[derive(Node)]
#[node(output_node)]
struct Show {
    shout: Shout,
}
impl Execute for Show {
    type Output = WithUi<()>;
    fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
        let text = format!("{}{}", self.shout.word, "!".repeat(self.shout.loud as usize));
        Ok(WithUi { outcome: (), ui: Ui::new().with("text", text) })
    }
}

fn engine() -> Engine {
    let registry = Registry::new().with::<Say>().with::<Choose>().with::<Louder>();
    Engine::new(registry.with::<Crescendo>().with::<Endless>().with::<Show>())
}

#[test]
fn a_lazy_an_expanding_and_a_waiting_node_hand_on_the_apps_payload() {
    let graph = GraphBuilder::new();
    let never = graph.add(Endless::node().shout(graph.add(Say::node().word("no"))));
    let loud = graph.add(Crescendo::node().shout(graph.add(Say::node().word("yes"))).times(2));
    let chosen = graph.add(Choose::node().first(false).a(never).b(loud));
    graph.add_as("shown", Show::node().shout(chosen));

    let shown = Arc::new(Mutex::new(Vec::new()));
    let log = shown.clone();
    let report = engine()
        .start(graph.into_prompt())
        .on_event(move |event| {
            if let Event::Executed { node, .. } = event {
                log.lock().unwrap().push(node.to_string());
            }
        })
        .run()
        .unwrap();
    assert_eq!(report.ui("shown").unwrap().get("text").unwrap(), ["yes!!"]);
    assert_eq!(*shown.lock().unwrap(), ["shown"]);
}

#[test]
fn a_cancel_ends_a_run_between_two_steps_and_the_engine_takes_the_next() {
    let (engine, cancel, steps) = (engine(), Cancel::new(), Arc::new(AtomicUsize::new(0)));
    let graph = GraphBuilder::new();
    let never = graph.add(Endless::node().shout(graph.add(Say::node().word("no"))));
    graph.add(Show::node().shout(never));

    let (stop, seen) = (cancel.clone(), steps.clone());
    let ended = engine.start(graph.into_prompt()).cancelled_by(&cancel).on_event(move |event| {
        if matches!(event, Event::Progress { .. }) && seen.fetch_add(1, Ordering::Relaxed) == 2 {
            stop.cancel();
        }
    });
    assert!(ended.run().unwrap_err().is_interrupted());
    assert!(steps.load(Ordering::Relaxed) >= 3);

    let graph = GraphBuilder::new();
    graph.add(Show::node().shout(graph.add(Say::node().word("next"))));
    assert_eq!(engine.run(graph.into_prompt()).unwrap().summary.executed, 2);
}
