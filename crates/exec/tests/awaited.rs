//! Runs that are awaited: under two executors, in a queue, refused, cancelled, dropped, with their events as a stream.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

mod common;

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use common::{def, graph};
use futures::executor::block_on;
use futures::future::join_all;
use futures::task::noop_waker;
use futures::{StreamExt, stream::FuturesUnordered};
use kiln_exec::*;

/// A node that stays in its code until it is let go, looking for a cancel meanwhile.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, Ordering::Release);
    }
}

fn engine(gate: &Gate) -> Engine {
    let gate = gate.clone();
    let held = DynNode::new(def("Held", &["x"], 1), move |args: &mut Args, cx: &mut Cx| {
        while !gate.0.load(Ordering::Acquire) {
            cx.checkpoint()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(args.get("x").cloned().unwrap_or_default())
    });
    let steps = DynNode::new(def("Steps", &["x"], 1), |args: &mut Args, cx: &mut Cx| {
        let mut bar = cx.progress(5000);
        for _ in 0..5000 {
            bar.step()?;
        }
        Ok(args.get("x").cloned().unwrap_or_default())
    });
    let registry = common::registry(&common::World::default()).with_dyn(held).with_dyn(steps);
    Engine::builder(registry).cache(CachePolicy::None).build()
}

fn small(n: usize) -> Prompt {
    graph(&format!("a: Make(n={n}); out: Sink(x=a)"))
}

fn held() -> Prompt {
    graph("a: Make(n=1); h: Held(x=a); out: Sink(x=h)")
}

fn shown(report: &Report) -> serde_json::Value {
    report.ui("out").unwrap().get("n").unwrap()[0].clone()
}

/// Polls once.
fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    let waker = noop_waker();
    future.poll(&mut Context::from_waker(&waker))
}

/// The order in which runs began.
#[derive(Clone, Default)]
struct Order(Arc<Mutex<Vec<usize>>>);

impl Order {
    fn of(&self, run: Run, number: usize) -> Run {
        let order = self.0.clone();
        run.on_event(move |event| {
            if matches!(event, Event::ExecutionStart { .. }) {
                order.lock().unwrap().push(number);
            }
        })
    }

    fn seen(&self) -> Vec<usize> {
        self.0.lock().unwrap().clone()
    }
}

#[test]
fn a_run_is_awaited_under_futures_executor_and_under_tokio_alike() {
    let engine = engine(&Gate::default());
    let report = block_on(async { engine.start(small(4)).await }).unwrap();
    assert_eq!(shown(&report), 4);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let report = runtime.block_on(async { engine.start(small(5)).await }).unwrap();
    assert_eq!(shown(&report), 5);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let reports = runtime.block_on(async {
        let tasks: Vec<_> = (0..20).map(|n| tokio::spawn(engine.start(small(n)).into_future())).collect();
        join_all(tasks).await
    });
    let all: Vec<_> = reports.into_iter().map(|report| shown(&report.unwrap().unwrap())).collect();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[test]
fn runs_begin_in_the_order_in_which_they_came_threads_and_tasks_alike() {
    let (gate, order) = (Gate::default(), Order::default());
    let engine = engine(&gate);
    let mut first = pin!(order.of(engine.start(held()), 0).into_future());
    assert!(poll(first.as_mut()).is_pending());
    let mut threads = Vec::new();
    for number in 1..=20 {
        let run = order.of(engine.start(small(number)), number);
        if number % 3 == 0 {
            threads.push(std::thread::spawn(move || run.run()));
            // It is in the queue when its thread has got there.
            std::thread::sleep(Duration::from_millis(30));
        } else {
            let mut future = Box::pin(run.into_future());
            assert!(poll(future.as_mut()).is_pending());
            threads.push(std::thread::spawn(move || block_on(future)));
        }
    }
    gate.open();
    assert!(block_on(first).is_ok());
    assert!(threads.into_iter().all(|thread| thread.join().unwrap().is_ok()));
    assert_eq!(order.seen(), (0..=20).collect::<Vec<_>>());
}

#[test]
fn a_run_that_does_not_want_to_queue_is_refused_while_another_runs_and_taken_after_it() {
    let gate = Gate::default();
    let engine = engine(&gate);
    let refusing = || engine.start(small(3)).options(RunOptions::new().with_when_busy(WhenBusy::Refuse));
    let mut first = pin!(engine.start(held()).into_future());
    assert!(poll(first.as_mut()).is_pending());
    for refused in [refusing().run().unwrap_err(), block_on(refusing().into_future()).unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(refused.to_string().contains("the engine runs another prompt"), "{refused}");
    }
    gate.open();
    assert!(block_on(first).is_ok());
    assert_eq!(shown(&refusing().run().unwrap()), 3);
    assert_eq!(shown(&block_on(refusing().into_future()).unwrap()), 3);
}

#[test]
fn a_cancel_reaches_a_run_in_the_queue_at_once_and_a_running_one_at_its_next_look() {
    let gate = Gate::default();
    let engine = engine(&gate);
    let first = engine.start(held());
    let stop_first = first.cancel();
    let mut first = pin!(first.into_future());
    assert!(poll(first.as_mut()).is_pending());
    let second = engine.start(small(1));
    let stop_second = second.cancel();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        stop_second.cancel();
    });
    assert!(block_on(second.into_future()).unwrap_err().is_interrupted());
    canceller.join().unwrap();
    stop_first.cancel();
    assert!(block_on(first).unwrap_err().is_interrupted());
    assert_eq!(shown(&engine.run(small(2)).unwrap()), 2);
}

#[test]
fn a_dropped_future_leaves_the_queue_or_ends_its_run_and_touches_no_flag_that_others_share() {
    let gate = Gate::default();
    let engine = engine(&gate);
    let (shared, order) = (Cancel::new(), Order::default());
    let mut running = Box::pin(engine.start(held()).cancelled_by(&shared).into_future());
    assert!(poll(running.as_mut()).is_pending());
    let mut queued = Box::pin(order.of(engine.start(small(1)).cancelled_by(&shared), 1).into_future());
    assert!(poll(queued.as_mut()).is_pending());
    let last = std::thread::spawn({
        let run = order.of(engine.start(small(2)).cancelled_by(&shared), 2);
        move || run.run()
    });
    drop(queued);
    // Nobody opens the gate: only the drop ends the first run.
    drop(running);
    assert_eq!(shown(&last.join().unwrap().unwrap()), 2);
    assert!(!shared.is_cancelled());
    assert_eq!(order.seen(), [2]);
}

#[test]
fn a_future_whose_turn_has_come_runs_although_nobody_polls_it_and_does_not_stop_those_behind_it() {
    let gate = Gate::default();
    let engine = engine(&gate);
    let mut first = pin!(engine.start(held()).into_future());
    assert!(poll(first.as_mut()).is_pending());
    let mut forgotten = pin!(engine.start(small(1)).into_future());
    assert!(poll(forgotten.as_mut()).is_pending());
    gate.open();
    assert_eq!(shown(&engine.run(small(2)).unwrap()), 2);
    assert_eq!(shown(&block_on(forgotten).unwrap()), 1);
    assert!(block_on(first).is_ok());
}

#[test]
fn a_thousand_queued_runs_need_no_thread_of_their_own() {
    let gate = Gate::default();
    let engine = engine(&gate);
    let mut first = pin!(engine.start(held()).into_future());
    assert!(poll(first.as_mut()).is_pending());
    let waiting: FuturesUnordered<_> = (0..1000).map(|n| engine.start(small(n % 7)).into_future()).collect();
    let mut waiting = pin!(waiting);
    let waker = noop_waker();
    let threads = threads();
    assert!(waiting.as_mut().poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    // Other tests of this file start threads meanwhile, but not hundreds.
    assert!(self::threads() < threads + 200, "{} threads, {threads} before", self::threads());
    gate.open();
    assert!(block_on(first).is_ok());
    let since = Instant::now();
    assert_eq!(block_on(waiting.filter(|ended| std::future::ready(ended.is_ok())).count()), 1000);
    assert!(since.elapsed() < Duration::from_mins(1));
}

/// Threads of this process.
fn threads() -> usize {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn the_stream_of_a_run_gives_what_a_listener_hears_and_ends_with_the_report() {
    let engine = engine(&Gate::default());
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hears = heard.clone();
    let run = engine.start(small(4)).on_event(move |event| hears.lock().unwrap().push(event.clone()));
    let (events, report) = block_on(async {
        let mut stream = run.stream();
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        assert!(stream.next().await.is_none());
        (events, stream.report().await.unwrap())
    });
    assert!(matches!(events.first(), Some(Event::ExecutionStart { .. })), "{events:?}");
    assert_eq!(events, *heard.lock().unwrap());
    assert_eq!(shown(&report), 4);
}

#[test]
fn a_reader_that_falls_behind_misses_steps_of_progress_and_nothing_else() {
    let engine = engine(&Gate::default());
    let kinds = |events: &[Event]| {
        let kept = events.iter().filter(|event| !matches!(event, Event::Progress { .. } | Event::ProgressState { .. }));
        kept.map(|event| format!("{event:?}").split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let prompt = || graph("a: Make(n=4); s: Steps(x=a); out: Sink(x=s)");
    let heard: Arc<Mutex<Vec<Event>>> = Arc::default();
    let hears = heard.clone();
    engine.start(prompt()).on_event(move |event| hears.lock().unwrap().push(event.clone())).run().unwrap();
    let late = block_on(async {
        let mut stream = engine.start(prompt()).stream();
        let mut events = vec![stream.next().await.unwrap()];
        // Nobody reads while it runs.
        engine.run(small(1)).unwrap();
        events.extend(stream.by_ref().collect::<Vec<_>>().await);
        assert!(stream.report().await.is_ok());
        events
    });
    assert!(late.len() < 1200, "{} events waited", late.len());
    assert_eq!(kinds(&late), kinds(&heard.lock().unwrap()));
}
