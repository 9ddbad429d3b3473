//! A disk that stalls in the middle of a run.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::fs;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use common::{Bench, assets};
use kiln_exec::{GraphBuilder, Out};
use kiln_memory::{Controls, testing::SlowDisk};
use kiln_nodes::{CLIPTextEncode, CheckpointLoaderSimple, Clip, Model, Vae, primitive::PreviewAny};

#[test]
fn a_stalled_disk_ends_the_run_with_an_error_that_names_file_tensor_and_time_and_nothing_stays_held() {
    let timeout = Duration::from_millis(300);
    let (bench, environment) = Bench::with(|environment| {
        environment.with_controls(Controls { read_timeout: Some(timeout), ..Controls::default() })
    });
    let path = bench.root.path().join("models/checkpoints/far.safetensors");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(assets().join("fluent-tiny.safetensors"), &path).unwrap();
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let shut = gate.clone();
    let disk = SlowDisk::under(&path, move |_| drop(shut.1.wait_while(shut.0.lock().unwrap(), |shut| *shut).unwrap()));

    let started = Instant::now();
    let error = bench.run(encoding()).unwrap_err().to_string();
    for part in ["CLIPTextEncode", "far.safetensors", "tensor `", "the disk gave nothing for 0.3 s"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(started.elapsed() < Duration::from_mins(1), "{:?}", started.elapsed());
    assert_eq!(environment.pager().resident(), 0);
    bench.engine.free();
    assert_eq!(environment.budget().used(), 0, "{}", environment.budget().report());

    *gate.0.lock().unwrap() = false;
    gate.1.notify_all();
    drop(disk);
    bench.run(encoding()).expect("the disk is back");
}

fn encoding() -> GraphBuilder {
    let g = GraphBuilder::new();
    let (_, clip, _): (Out<Model>, Out<Clip>, Out<Vae>) =
        g.add(CheckpointLoaderSimple::node().ckpt_name("far.safetensors"));
    let text = g.add(CLIPTextEncode::node().text("a red apple").clip(clip));
    g.add(PreviewAny::node().source(text));
    g
}
