//! Whole runs under every interleaving of their threads: `cargo test -p kiln-exec --features shuttle interleavings`.
//!
//! What several threads share is the mailbox, the lanes, the cancel flag and the session; all of it is built on
//! [`crate::sync`], which shuttle replaces. The output store is not shared: it belongs to the one run that holds the
//! session, `&mut` all the way down. It is run here all the same, with everything that lanes and wakers can do around it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_graph::{Input, InputDef, NodeDef, OutputDef, Prompt, PromptNode};

use crate::cancel::Cancel;
use crate::engine::{ActiveCall, Engine, Report, RunError, RunLock, Session, SessionGuard, revoke};
use crate::error::NodeError;
use crate::node::{Args, Cx, DynNode, DynReply, Lane, Registry, Ui};
use crate::sync::{Arc, Mutex, lock, thread};
use crate::value::Value;

fn explore(test: impl Fn() + Send + Sync + 'static) {
    #[cfg(feature = "shuttle")]
    shuttle::check_random(test, 10_000);
    #[cfg(not(feature = "shuttle"))]
    (0..50).for_each(|_| test());
}

fn def(class: &str) -> NodeDef {
    NodeDef::new(class).input(InputDef::new("x", "*").optional()).output(OutputDef::new("*"))
}

fn next(args: &mut Args, cx: &mut Cx) -> Result<Value, NodeError> {
    cx.checkpoint()?;
    Ok(Value::Int(args.get_as::<i128>("x")? + 1))
}

/// Lets others go first, by way of its waker.
struct Once(bool);
impl std::future::Future for Once {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return std::task::Poll::Ready(());
        }
        let waker = cx.waker().clone();
        drop(thread::spawn(move || waker.wake()));
        std::task::Poll::Pending
    }
}

fn engine() -> Engine {
    let waits = |mut args: Args, mut cx: Cx| async move {
        Once(false).await;
        next(&mut args, &mut cx)
    };
    let shows = |args: &mut Args, _: &mut Cx| {
        let x = args.get_as::<i64>("x")?;
        Ok::<_, NodeError>(DynReply::from(()).with_ui(Ui::new().with("x", x)))
    };
    let sink = NodeDef { output_node: true, outputs: Vec::new(), ..def("Show") };
    Engine::new(
        Registry::new()
            .with_dyn(DynNode::new(def("Here"), next))
            .with_dyn(DynNode::new(def("Lane"), next).on(Lane::Serial("a".into())))
            .with_dyn(DynNode::new(def("Other"), next).on(Lane::Serial("b".into())))
            .with_dyn(DynNode::new_async(def("Wait"), waits))
            .with_dyn(DynNode::new(sink, shows)),
    )
}

/// Two branches, each over threads of its own, and an output for each.
fn prompt() -> Prompt {
    let mut prompt = Prompt::new();
    let mut add = |id: &str, class: &str, x: Input| prompt.insert(id, PromptNode::new(class).with("x", x));
    add("a", "Lane", Input::literal(1));
    add("b", "Here", Input::link("a", 0));
    add("w", "Wait", Input::link("a", 0));
    add("c", "Other", Input::link("b", 0));
    add("s", "Show", Input::link("c", 0));
    add("t", "Show", Input::link("w", 0));
    prompt
}

fn is_whole(ended: Result<Report, RunError>) {
    let report = ended.unwrap();
    assert_eq!(report.ui("s").unwrap().get("x").unwrap(), [serde_json::json!(4)]);
    assert_eq!(report.ui("t").unwrap().get("x").unwrap(), [serde_json::json!(3)]);
}

#[test]
fn a_run_over_lanes_and_wakers_ends_whole_in_every_interleaving() {
    explore(|| is_whole(engine().run(prompt())));
}

#[test]
fn a_waker_that_knocks_at_any_moment_is_heard() {
    explore(|| {
        let mut prompt = Prompt::new();
        prompt.insert("w", PromptNode::new("Wait").with("x", Input::literal(1)));
        prompt.insert("t", PromptNode::new("Show").with("x", Input::link("w", 0)));
        assert!(engine().run(prompt).is_ok());
    });
}

#[test]
fn a_cancel_at_any_moment_ends_the_run_or_comes_too_late_and_the_next_run_is_whole() {
    explore(|| {
        let engine = engine();
        let run = engine.start(prompt());
        let cancel = run.cancel();
        let thread = thread::spawn(move || cancel.cancel());
        match run.run() {
            Err(error) => assert!(error.is_interrupted(), "{error}"),
            whole => is_whole(whole),
        }
        thread.join().unwrap();
        is_whole(engine.run(prompt()));
        assert!(engine.abandoned_calls().is_empty());
    });
}

#[test]
fn two_runs_at_once_take_turns() {
    explore(|| {
        let engine = engine();
        let other = engine.clone();
        let thread = thread::spawn(move || is_whole(other.run(prompt())));
        is_whole(engine.run(prompt()));
        thread.join().unwrap();
    });
}

#[test]
fn a_turn_is_one_threads_at_a_time() {
    explore(|| {
        let (run_lock, inside) = (Arc::<RunLock>::default(), Arc::new(Mutex::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (run_lock, inside) = (Arc::clone(&run_lock), Arc::clone(&inside));
                thread::spawn(move || {
                    let inside_lock = run_lock.acquire_unless(&Cancel::new()).expect("nobody cancels");
                    *lock(&inside) += 1;
                    thread::yield_now();
                    assert_eq!(*lock(&inside), 1);
                    *lock(&inside) -= 1;
                    drop(inside_lock);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_session_is_taken_back_or_stays_with_its_run_never_both() {
    explore(|| {
        let session = Arc::new(Mutex::new(Session::default()));
        let theirs = Arc::clone(&session);
        let run = thread::spawn(move || {
            let mut guard = SessionGuard::new(&theirs);
            guard.pause(ActiveCall::default());
            thread::yield_now();
            let goes_on = guard.resume();
            // A run that was abandoned writes into nothing that anybody sees.
            guard.sizes.insert("n".into(), 1);
            goes_on
        });
        thread::yield_now();
        let taken = revoke(&session).is_some();
        let goes_on = run.join().unwrap();
        assert_ne!(taken, goes_on);
        assert_eq!(lock(&session).sizes.len(), usize::from(goes_on));
        assert!(lock(&session).active_call.is_none());
    });
}
