//! Outputs that must not be computed twice, out of memory and back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{def, graph, number};
use kiln_exec::*;

/// A payload that can be written down; on a bad disk, not to its end.
#[derive(Clone)]
struct Page {
    bytes: Arc<Vec<u8>>,
    bad: bool,
}
#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl Object for Page {
    fn socket_type(&self) -> &str {
        "PAGE"
    }
    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
}

/// Writes pages down; bad ones not to their end.
struct PageCodec;
#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for PageCodec {
    fn socket_type(&self) -> &str {
        "PAGE"
    }
    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        let page = object.downcast_ref::<Page>().unwrap();
        to.bytes(&page.bytes)?;
        if page.bad { Err(std::io::Error::from(std::io::ErrorKind::StorageFull).into()) } else { Ok(()) }
    }
    fn decode(&self, from: &mut Decoder<'_>, _: &Host) -> Result<Arc<dyn Object>, CodecError> {
        Ok(Arc::new(Page { bytes: from.bytes()?.into(), bad: false }))
    }
}

fn codecs() -> Codecs {
    Codecs::new().with(PageCodec)
}

fn page(bytes: usize, bad: bool) -> Value {
    Value::object(Page { bytes: Arc::new(vec![7; bytes]), bad })
}

/// Every kind of value that is no payload, and a payload.
fn all_kinds() -> Vec<Value> {
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(i128::MIN),
        Value::Int(u64::MAX.into()),
        Value::Float(-0.0),
        Value::Float(0.1),
        Value::String("a\u{1f525}\n".into()),
        Value::Json(Arc::new(json!({"z": [1, 2.5, null], "a": {"b": "c"}}))),
        Value::Blocker(Blocker::with_message("because")),
        Value::Blocker(Blocker::silent()),
        page(3, false),
        Value::Int(5),
    ]
}

/// An engine whose `Print` node, which is not idempotent, answers with `printed`; `Same` compares what it gets with it.
fn engine(printed: Vec<Value>, runs: &Arc<AtomicU32>) -> Engine {
    let once = kiln_exec::graph::NodeDef { not_idempotent: true, ..def("Print", &[], 1) };
    let whole = kiln_exec::graph::NodeDef { input_is_list: true, ..def("Same", &["x"], 1) };
    let count_def = kiln_exec::graph::NodeDef { input_is_list: true, ..def("Count", &["x"], 1) };
    let values: Values = printed.clone().into();
    let count = Arc::clone(runs);
    let registry = common::registry(&common::World::default())
        .with_codec(PageCodec)
        .with_dyn(DynNode::new(once, move |_, _| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(values.clone())
        }))
        .with_dyn(DynNode::new(def("Length", &["x"], 1), |args, _| {
            let page = args.get("x").and_then(|x| x.downcast_ref::<Page>().cloned());
            Ok(Value::Int(page.map_or(-1, |page| page.bytes.len() as i128)))
        }))
        .with_dyn(DynNode::new(count_def, |_, _| Ok(Value::Int(1))))
        .with_dyn(DynNode::new(whole, move |args, _| {
            let got = args.list("x").cloned().unwrap_or_else(Values::empty);
            Ok(Value::Int(i128::from(same(&got, &printed))))
        }));
    Engine::builder(registry).cache(CachePolicy::None).build()
}

fn same(got: &Values, printed: &[Value]) -> bool {
    let one = |(a, b): (&Value, &Value)| match (a.downcast_ref::<Page>(), b.downcast_ref::<Page>()) {
        (Some(a), Some(b)) => a.bytes == b.bytes,
        _ => a == b,
    };
    got.len() == printed.len() && got.iter().zip(printed).all(one)
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("kiln-spill-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn options(spill: impl Spill + 'static) -> RunOptions {
    RunOptions { order: Order::Comfy, deterministic: true, spill: Some(Arc::new(spill)), ..RunOptions::default() }
}

#[test]
fn a_pinned_output_that_nobody_reads_goes_to_disk_and_comes_back_for_a_late_reader() {
    let (runs, folder) = (Arc::default(), folder("late"));
    let engine = engine(vec![page(5000, false)], &runs);
    let options = options(FileSpill::new(&folder)).with_trace(true);
    let text = "a: Print(); b: Length(x=a); d: Into(x=b, to='a'); l: Length(x=d); out: Sink(x=l)";
    let report = engine.start(graph(text)).options(options).run().unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5000)]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let alive: Vec<u64> = report.trace.as_ref().unwrap().steps.iter().map(|step| step.live_bytes).collect();
    assert!(alive.contains(&0) && alive.contains(&5000), "{alive:?}");
    assert_eq!(files(&folder), 0, "spilled files go with the run");
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn a_list_of_plain_values_and_payloads_comes_back_equal() {
    let (runs, folder) = (Arc::default(), folder("kinds"));
    // A blocker stops a node that gets whole lists, so the values travel without them here.
    let values: Vec<Value> = all_kinds().into_iter().filter(|value| value.as_blocker().is_none()).collect();
    let engine = engine(values, &runs);
    let seen = Arc::new(AtomicU32::new(0));
    let (at, most) = (folder.clone(), Arc::clone(&seen));
    let watch = move |_: &Event| {
        most.fetch_max(files(&at) as u32, Ordering::SeqCst);
    };
    let text = "a: Print(); b: Count(x=a); d: Into(x=b, to='a', how='direct'); s: Same(x=d); out: Sink(x=s)";
    let run = engine.start(graph(text)).options(options(FileSpill::new(&folder).at_least(0))).on_event(watch);
    let report = run.run().unwrap();
    assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(1)]);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert!(seen.load(Ordering::SeqCst) > 0, "it was on disk");
    assert_eq!(files(&folder), 0);
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn what_a_file_spill_takes_it_gives_back_again_and_again() {
    let folder = folder("again");
    let spill = FileSpill::new(&folder).at_least(0);
    for values in [all_kinds(), vec![], vec![Value::Float(f64::NAN)]] {
        let list: Values = values.clone().into();
        let spilled = spill.store(&list, &codecs()).unwrap().expect("it is worth a file");
        assert_eq!(files(&folder), 1);
        for _ in 0..2 {
            let back = spilled.load().unwrap();
            match values.as_slice() {
                [Value::Float(nan)] if nan.is_nan() => {
                    assert!(matches!(back.at(0), Some(Value::Float(x)) if x.is_nan()));
                }
                values => assert!(same(&back, values), "{back:?}"),
            }
        }
        drop(spilled);
        assert_eq!(files(&folder), 0);
    }
    assert!(FileSpill::new(&folder).store(&Value::Int(1).into(), &codecs()).unwrap().is_none(), "not worth a file");
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn spilled_files_are_gone_after_a_failure_and_after_a_cancel() {
    for end in ["Fails", "Panics", "Cancels"] {
        let (runs, folder) = (Arc::default(), folder(end));
        let engine = engine(vec![page(5000, false)], &runs);
        let text = format!("a: Print(); b: Length(x=a); c: {end}(x=b); out: Sink(x=c)");
        let was_there = Arc::new(AtomicU32::new(0));
        let (at, most) = (folder.clone(), Arc::clone(&was_there));
        let watch = move |_: &Event| {
            most.fetch_max(files(&at) as u32, Ordering::SeqCst);
        };
        let run = engine.start(graph(&text)).options(options(FileSpill::new(&folder))).on_event(watch);
        run.run().unwrap_err();
        assert_eq!(was_there.load(Ordering::SeqCst), 1, "{end}: it was spilled before");
        assert_eq!(files(&folder), 0, "{end}");
        std::fs::remove_dir(&folder).unwrap();
    }
}

#[test]
fn where_nothing_can_be_written_the_output_stays_in_memory_and_the_run_goes_on() {
    let text = "a: Print(); b: Length(x=a); d: Into(x=b, to='a'); l: Length(x=d); out: Sink(x=l)";
    let nowhere = folder("gone");
    std::fs::remove_dir(&nowhere).unwrap();
    let full = folder("full");
    for (bad, folder) in [(false, nowhere), (true, full.clone())] {
        let runs = Arc::default();
        let engine = engine(vec![page(5000, bad)], &runs);
        let report = engine.start(graph(text)).options(options(FileSpill::new(&folder))).run().unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5000)]);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(report.summary.live_bytes_at_end, 0);
    }
    assert_eq!(files(&full), 0, "half a file is no use to anybody");
    std::fs::remove_dir(&full).unwrap();
}

#[test]
fn an_output_node_out_of_the_cache_has_its_value_back_when_its_reader_runs() {
    let folder = folder("served");
    let world = common::World::default();
    let tee = kiln_exec::graph::NodeDef { output_node: true, ..def("Tee", &["n"], 1) };
    let registry = common::registry(&world)
        .with_codec(PageCodec)
        .with_dyn(DynNode::new(tee, |_, _| Ok(page(5000, false))))
        .with_dyn(DynNode::new(def("Long", &["x", "n"], 1), |args, _| {
            let page = args.get("x").and_then(|x| x.downcast_ref::<Page>().cloned());
            Ok(Value::Int(
                page.map_or(-1, |page| page.bytes.len() as i128)
                    + i128::from(number(&args.get("n").cloned().unwrap_or_default())),
            ))
        }));
    let engine = Engine::builder(registry).build();
    for n in 0..3 {
        let text = format!("t: Tee(n=1); l: Long(x=t, n={n}); out: Sink(x=l)");
        let report = engine.start(graph(&text)).options(options(FileSpill::new(&folder))).run().unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5000 + n)]);
    }
    assert_eq!(files(&folder), 0);
    std::fs::remove_dir(&folder).unwrap();
}

/// `Make` returns a page of 5000 bytes; `Length` says how long it is.
fn keeping_engine(folder: &Path, made: &Arc<AtomicU32>) -> Engine {
    let count = Arc::clone(made);
    let registry = common::registry(&common::World::default())
        .with_codec(PageCodec)
        .with_dyn(DynNode::new(def("Page", &["n"], 1), move |args, _| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(page(5000 + args.get_as::<usize>("n")?, false))
        }))
        .with_dyn(DynNode::new(def("Length", &["x", "n"], 1), |args, _| {
            let page = args.get("x").and_then(|x| x.downcast_ref::<Page>().cloned());
            Ok(Value::Int(page.map_or(-1, |page| page.bytes.len() as i128)))
        }));
    Engine::builder(registry).spill(Arc::new(FileSpill::new(folder))).build()
}

#[test]
fn what_the_cache_keeps_is_on_disk_while_nobody_reads_it_and_comes_back_for_a_hit() {
    let (made, folder) = (Arc::default(), folder("kept"));
    let engine = keeping_engine(&folder, &made);
    for n in 0..3 {
        // The page is known from the second prompt on, what reads it is another node each time.
        let text = format!("a: Page(n=1); b: Length(x=a, n={n}); out: Sink(x=b)");
        let options = RunOptions::default().with_trace(true);
        let report = engine.start(graph(&text)).options(options).run().unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5001)]);
        assert_eq!(made.load(Ordering::SeqCst), 1, "prompt {n}");
        assert_eq!(report.summary.peak_bytes, 5001);
        assert_eq!((engine.live_bytes(), files(&folder)), (0, 1), "prompt {n}: on disk once, and nowhere else");
        let last = report.trace.as_ref().unwrap().steps.last().unwrap();
        assert_eq!(last.live_bytes, 0, "it went when its reader had finished, not at the end");
    }
    engine.free();
    assert_eq!(files(&folder), 0, "the file goes with the result");
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn a_kept_result_whose_file_was_damaged_is_computed_again() {
    let (made, folder) = (Arc::default(), folder("damaged"));
    let engine = keeping_engine(&folder, &made);
    for n in 0..3 {
        let text = format!("a: Page(n=1); b: Length(x=a, n={n}); out: Sink(x=b)");
        let report = engine.run(graph(&text)).unwrap();
        assert_eq!(report.ui("out").unwrap().get("n").unwrap(), [json!(5001)]);
        for file in std::fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
    assert_eq!(made.load(Ordering::SeqCst), 3);
    drop(engine);
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn an_output_whose_file_was_damaged_is_an_error_of_its_reader() {
    let (runs, folder) = (Arc::default(), folder("output"));
    let engine = engine(vec![page(5000, false)], &runs);
    let at = folder.clone();
    let damage = move |event: &Event| {
        if matches!(event, Event::Spilled { bytes: 5000, .. }) {
            for file in std::fs::read_dir(&at).unwrap() {
                std::fs::OpenOptions::new().write(true).open(file.unwrap().path()).unwrap().set_len(100).unwrap();
            }
        }
    };
    let text = "a: Print(); b: Length(x=a); d: Into(x=b, to='a'); l: Length(x=d); out: Sink(x=l)";
    let run = engine.start(graph(text)).options(options(FileSpill::new(&folder))).on_event(damage);
    let error = run.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Spill);
    assert!(error.message().contains("damaged"), "{error}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    std::fs::remove_dir(&folder).unwrap();
}

#[test]
fn an_output_that_leaves_memory_and_comes_back_is_reported() {
    let (runs, folder) = (Arc::default(), folder("events"));
    let engine = engine(vec![page(5000, false)], &runs);
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let to = Arc::clone(&seen);
    let listen = move |event: &Event| match event {
        Event::Spilled { node, bytes, .. } => to.lock().unwrap().push(format!("{node} -{bytes}")),
        Event::Recalled { node, bytes, .. } => to.lock().unwrap().push(format!("{node} +{bytes}")),
        _ => {}
    };
    let text = "a: Print(); b: Length(x=a); d: Into(x=b, to='a', how='direct'); l: Length(x=d); out: Sink(x=l)";
    engine.start(graph(text)).options(options(FileSpill::new(&folder))).on_event(listen).run().unwrap();
    assert_eq!(seen.lock().unwrap().join(" "), "a -5000 a +5000 a -5000");
    std::fs::remove_dir(&folder).unwrap();
}
