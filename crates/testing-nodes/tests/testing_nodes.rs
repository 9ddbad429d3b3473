//! The testing nodes in the graphs that ComfyUI's execution tests build, without a server between.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::Bench;
use kiln_exec::{CachePolicy, Event, Link, Prompt, Retention, RunError, RunOptions, Value};
use kiln_nodes::files::{DirKind, load_image};
use serde_json::{Map, Value as Json, json};

/// A prompt in the making: `class(inputs)` returns the new node's id.
#[derive(Default)]
struct Graph(Map<String, Json>);

impl Graph {
    fn add(&mut self, class: &str, inputs: Json) -> Json {
        let id = format!("test[{}]{}", class, self.0.len() + 1);
        self.0.insert(id.clone(), json!({"class_type": class, "inputs": inputs}));
        json!([id, 0])
    }

    fn image(&mut self, content: &str, side: usize) -> Json {
        self.add("StubImage", json!({"content": content, "height": side, "width": side, "batch_size": 1}))
    }

    fn mask(&mut self, value: f64, side: usize) -> Json {
        self.add("StubMask", json!({"value": value, "height": side, "width": side, "batch_size": 1}))
    }

    fn save(&mut self, images: Json) {
        self.add("SaveImage", json!({"images": images, "filename_prefix": "execution[test]"}));
    }

    fn prompt(&self) -> Prompt {
        Prompt::from_value(Json::Object(self.0.clone())).unwrap()
    }

    fn run(&self, bench: &Bench) -> Result<kiln_exec::Report, RunError> {
        bench.engine.run(self.prompt())
    }
}

fn socket(link: &Json, socket: usize) -> Json {
    json!([link[0], socket])
}

/// The first byte of every saved image, in order of names.
fn bytes(bench: &Bench) -> Vec<u8> {
    let read = |name: &String| load_image(&bench.folder(DirKind::Output).join(name)).unwrap().rgb[0];
    bench.files(DirKind::Output).iter().map(|name| (read(name) * 255.0).round() as u8).collect()
}

#[test]
fn an_image_that_does_not_show_is_never_made() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white, mask) = (g.image("BLACK", 32), g.image("WHITE", 32), g.mask(0.0, 32));
    let mixed = g.add("TestLazyMixImages", json!({"image1": black, "image2": white, "mask": mask}));
    g.save(mixed);
    let report = g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [0]);
    assert_eq!(report.summary.executed, 4);
}

#[test]
fn images_of_two_sizes_cannot_be_mixed() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, noise, mask) = (g.image("BLACK", 32), g.image("NOISE", 16), g.mask(0.5, 32));
    let mixed = g.add("TestLazyMixImages", json!({"image1": black, "image2": noise, "mask": mask}));
    g.save(mixed);
    assert!(g.run(&bench).unwrap_err().to_string().contains("do not fit"));
}

#[test]
fn validators_of_each_signature_answer_as_comfyuis() {
    let bench = Bench::new();
    let with = |class: &str, input1: Json, input2: Json| {
        let mut g = Graph::default();
        let link = |g: &mut Graph, value: Json| match value {
            Json::String(class) if class.starts_with("Stub") => {
                let mut inputs = json!({"value": 5});
                if class == "StubMask" {
                    inputs = json!({"value": 0.5, "height": 8, "width": 8, "batch_size": 1});
                }
                g.add(&class, inputs)
            }
            other => other,
        };
        let (a, b) = (link(&mut g, input1), link(&mut g, input2));
        let out = g.add(class, json!({"input1": a, "input2": b}));
        g.save(out);
        g.run(&bench)
    };
    assert!(with("TestCustomValidation1", json!(5), json!(3.0)).is_err());
    assert!(with("TestCustomValidation1", json!("foo"), json!(3.0)).is_err());
    assert!(with("TestCustomValidation1", json!(5.0), json!(3.0)).is_ok());
    assert!(with("TestCustomValidation1", json!("StubInt"), json!(3.0)).is_err());
    assert!(with("TestCustomValidation1", json!("StubMask"), json!(3.0)).is_err());
    for class in ["TestCustomValidation2", "TestCustomValidation3", "TestCustomValidation4"] {
        let error = with(class, json!("StubInt"), json!(3.0)).unwrap_err().to_string();
        assert!(error.contains("input1"), "{class}: {error}");
        assert!(with(class, json!("StubFloat"), json!(3.0)).is_ok(), "{class}");
    }
    assert!(with("TestCustomValidation5", json!(0.0), json!(0.5)).is_ok());
    assert!(with("TestCustomValidation5", json!(0.0), json!(5.0)).is_ok());
    assert!(with("TestCustomValidation5", json!(0.0), json!(7.0)).is_err());
}

#[test]
fn nodes_that_wait_for_each_other_in_an_expansion_are_an_error_of_the_node_that_made_them() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white) = (g.image("BLACK", 16), g.image("WHITE", 16));
    let cycle = g.add("TestDynamicDependencyCycle", json!({"input1": black, "input2": white}));
    g.save(cycle.clone());
    let error = g.run(&bench).unwrap_err();
    assert_eq!(error.node().unwrap().to_string(), cycle[0].as_str().unwrap());
}

#[test]
fn any_number_of_images_is_averaged() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
    let average = json!({"input1": black, "input2": white, "input3": black, "input4": black});
    let average = g.add("TestVariadicAverage", average);
    g.save(average);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [63]);
}

#[test]
fn a_counted_loop_halves_the_image_once_per_iteration() {
    for rounds in 1..=4u32 {
        let bench = Bench::new();
        let mut g = Graph::default();
        let (white, black) = (g.image("WHITE", 8), g.image("BLACK", 8));
        let changed = g.add("TestCustomIsChanged", json!({"should_change": true, "image": white}));
        let open = g.add("TestForLoopOpen", json!({"remaining": rounds, "initial_value1": changed}));
        let average = g.add("TestVariadicAverage", json!({"input1": black, "input2": socket(&open, 2)}));
        let close = g.add("TestForLoopClose", json!({"flow_control": open, "initial_value1": average}));
        g.save(close);
        g.run(&bench).unwrap();
        assert_eq!(bytes(&bench), [(255 / 2u32.pow(rounds)) as u8], "{rounds} rounds");
    }
}

#[test]
fn a_loop_of_many_iterations_ends() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let white = g.image("WHITE", 1);
    let open = g.add("TestForLoopOpen", json!({"remaining": 200, "initial_value1": white}));
    let passed = g.add("TestOutputNodeWithSocketOutput", json!({"image": socket(&open, 2), "value": 1.0}));
    let close = g.add("TestForLoopClose", json!({"flow_control": open, "initial_value1": passed}));
    g.save(close);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [255]);
}

#[test]
fn values_and_expansions_mix_in_one_list() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let list = g.add("TestMakeListNode", json!({"value1": 0.1, "value2": 0.2, "value3": 0.3}));
    let mixed = g.add("TestMixedExpansionReturns", json!({"input1": list}));
    g.save(mixed);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [25, 51, 76]);
}

#[test]
fn lazy_inputs_are_asked_for_per_element_of_a_list() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let values = g.add("TestMakeListNode", json!({"value1": 0.0, "value2": 0.5, "value3": 1.0}));
    let mask = g.add("StubMask", json!({"value": values, "height": 8, "width": 8, "batch_size": 1}));
    let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
    let mixed = g.add("TestLazyMixImages", json!({"image1": black, "image2": white, "mask": mask}));
    let batch = g.add("RebatchImages", json!({"images": mixed, "batch_size": 3}));
    g.save(batch);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [0, 127, 255]);
}

#[test]
fn a_blocker_in_a_list_blocks_its_element_only() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
    let images = g.add("TestMakeListNode", json!({"value1": black, "value2": white, "value3": black}));
    let numbers = g.add("TestMakeListNode", json!({"value1": 1, "value2": 2, "value3": 3}));
    let block = g.add("TestIntConditions", json!({"a": numbers, "b": 2, "operation": "=="}));
    let blocked = g.add("TestExecutionBlocker", json!({"input": images, "block": block, "verbose": false}));
    let list = g.add("TestMakeListNode", json!({"value1": blocked}));
    g.save(list);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [0, 0]);
}

#[test]
fn waiting_nodes_overlap_also_in_expansions() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
    let sleep =
        json!({"image1": black, "image2": white, "image3": white, "sleep1": 0.4, "sleep2": 0.5, "sleep3": 0.45});
    let slept = g.add("TestParallelSleep", sleep);
    g.save(slept);
    let start = Instant::now();
    g.run(&bench).unwrap();
    assert!(start.elapsed() < Duration::from_millis(1200), "{:?}", start.elapsed());
    assert_eq!(bytes(&bench), [170]);
}

#[test]
fn failures_of_waiting_nodes_leave_the_engine_ready() {
    let bench = Bench::new();
    let failing = |class: &str, inputs: Json| {
        let mut g = Graph::default();
        let black = g.image("BLACK", 8);
        let mut inputs = inputs;
        inputs["value"] = black;
        let out = g.add(class, inputs);
        g.save(out);
        g.run(&bench).unwrap_err().to_string()
    };
    assert!(failing("TestAsyncError", json!({"error_after": 0.05})).contains("Intentional async"));
    assert!(failing("TestSyncError", json!({})).contains("Intentional sync"));
    assert!(
        failing("TestAsyncTimeout", json!({"timeout": 0.1, "operation_time": 2.0})).contains("timed out after 0.1")
    );
    let mut g = Graph::default();
    let white = g.image("WHITE", 8);
    let slept = g.add("TestSleep", json!({"value": white, "seconds": 0.05}));
    g.save(slept);
    g.run(&bench).unwrap();
    assert_eq!(bytes(&bench), [255]);
}

#[test]
fn resources_and_seats_are_free_again_after_every_run() {
    let bench = Bench::new();
    for round in 0..2 {
        let mut g = Graph::default();
        for i in 0..3 {
            let black = g.image(if round == 0 { "BLACK" } else { "WHITE" }, 8 + i);
            let used = json!({"value": black, "resource_id": format!("resource_{i}"), "duration": 0.05});
            let used = g.add("TestAsyncResourceUser", used);
            let seated = g.add("TestAsyncConcurrentLimit", json!({"value": used, "duration": 0.1, "node_id": i}));
            g.add("PreviewImage", json!({"images": seated}));
        }
        g.run(&bench).unwrap();
    }
}

#[test]
fn values_and_images_go_through_accumulations() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
    let one = g.add("TestAccumulateNode", json!({"to_add": black}));
    let two = g.add("TestAccumulateNode", json!({"to_add": white, "accumulation": one}));
    let last = g.add("TestAccumulationGetItemNode", json!({"accumulation": two, "index": -1}));
    g.save(last);
    let head = g.add("TestAccumulationHeadNode", json!({"accumulation": two}));
    g.save(socket(&head, 1));
    g.run(&bench).unwrap();
    let mut found = bytes(&bench);
    found.sort_unstable();
    assert_eq!(found, [0, 255]);
}

/// Two loaders whose tensors are looked at, what was found with them, then a hungry step that reads only that.
fn detector_graph() -> Prompt {
    let mut g = Graph::default();
    let black = g.image("BLACK", 8);
    let load = |g: &mut Graph, seed: Json, size: f64| g.add("AllocateVRAM", json!({"anything": seed, "size": size}));
    let detector = load(&mut g, black.clone(), 0.0625);
    let segmenter = load(&mut g, black, 0.03125);
    for loaded in [&detector, &segmenter] {
        g.add("PreviewAny", json!({"source": socket(loaded, 1)}));
    }
    let found = g.add("TestVariadicAverage", json!({"input1": detector, "input2": segmenter}));
    let hungry = g.add("AllocateVRAM", json!({"anything": found, "size": 0.125}));
    g.add("PreviewImage", json!({"images": hungry}));
    g.prompt()
}

#[test]
fn releasing_outputs_lowers_the_peak_of_the_hungry_step() {
    const MIB: u64 = 1 << 20;
    let peak = |retention: Retention| {
        let bench = Bench::new();
        // A cache would hold on to outputs on its own account.
        bench.engine.set_cache(CachePolicy::None);
        let options = RunOptions { retention, deterministic: true, ..RunOptions::default() };
        bench.engine.start(detector_graph()).options(options).run().unwrap().summary.peak_bytes / MIB
    };
    // Loaders of 64 and 32 MiB, and a step of 128 MiB.
    for level in [Retention::Keep, Retention::Unreferenced] {
        assert_eq!(peak(level), 224, "{level:?}");
    }
    for level in [Retention::Unreadable, Retention::Eager] {
        assert_eq!(peak(level), 128, "{level:?}");
    }
}

#[test]
fn a_fingerprint_of_constants_tells_when_a_node_has_to_run_again() {
    let bench = Bench::new();
    let run = |value: f64| {
        let mut g = Graph::default();
        let grey = json!({"value": 0.5, "height": 8, "width": 8, "batch_size": 1});
        let grey = g.add("StubConstantImage", grey);
        let darker = g.add("TestIsChangedWithConstants", json!({"image": grey, "value": value}));
        g.save(darker);
        g.run(&bench).unwrap().summary.executed
    };
    assert_eq!((run(0.5), bytes(&bench)), (3, vec![63]));
    assert_eq!(run(0.5), 0, "the same constant");
    assert_eq!((run(1.0), bytes(&bench)), (2, vec![63, 127]));
}

/// Steps of progress: of which node, how far, of how many.
type Steps = Vec<(String, f64, f64)>;

/// What a run reports: progress of which node, in its order, and how often each node began.
fn reported(bench: &Bench, g: &Graph) -> (Steps, Map<String, Json>) {
    let (steps, began) = (Arc::new(Mutex::new(Steps::new())), Arc::new(Mutex::new(Map::new())));
    let (seen, counted) = (Arc::clone(&steps), Arc::clone(&began));
    let run = bench.engine.start(g.prompt()).on_event(move |event| match event {
        Event::Progress { node, value, max, .. } => seen.lock().unwrap().push((node.to_string(), *value, *max)),
        Event::Executing { node: Some(node), .. } => {
            let mut counted = counted.lock().unwrap();
            let count = counted.get(node.as_str()).and_then(Json::as_i64).unwrap_or_default();
            counted.insert(node.to_string(), json!(count + 1));
        }
        _ => {}
    });
    run.run().unwrap();
    let (steps, began) = (steps.lock().unwrap().clone(), began.lock().unwrap().clone());
    (steps, began)
}

#[test]
fn images_are_inverted_one_by_one_with_a_step_each() {
    let bench = Bench::new();
    let mut g = Graph::default();
    let images = g.add("StubConstantImage", json!({"value": 0.25, "height": 8, "width": 8, "batch_size": 3}));
    let inverted = g.add("TestAsyncBatchProcessing", json!({"images": images, "process_time_per_item": 0.01}));
    g.save(inverted.clone());
    let (steps, _) = reported(&bench, &g);
    let id = inverted[0].as_str().unwrap();
    let expected: Vec<_> = [1.0, 2.0, 3.0].into_iter().map(|step| (id.to_owned(), step, 3.0)).collect();
    assert_eq!(steps, expected);
    assert_eq!(bytes(&bench), [191, 191, 191]);
}

#[test]
fn of_two_lazy_inputs_only_the_one_that_is_asked_for_is_computed() {
    for condition in [true, false] {
        let bench = Bench::new();
        let mut g = Graph::default();
        let (one, two) = (g.image("BLACK", 8), g.image("NOISE", 8));
        let inputs = json!({"input1": one, "input2": two, "condition": condition});
        let white = g.add("TestAsyncLazyCheck", inputs);
        g.save(white);
        let (_, began) = reported(&bench, &g);
        let ran = |link: &Json| began.contains_key(link[0].as_str().unwrap());
        assert_eq!((ran(&one), ran(&two)), (condition, !condition));
        assert_eq!(bytes(&bench), [255]);
    }
}

#[test]
fn progress_goes_from_nothing_to_one_whether_the_node_waits_or_holds_its_thread() {
    for class in ["TestAsyncProgressUpdate", "TestSyncProgressUpdate"] {
        let bench = Bench::new();
        let mut g = Graph::default();
        let white = g.image("WHITE", 8);
        let passed = g.add(class, json!({"value": white, "sleep_seconds": 0.1}));
        g.save(passed.clone());
        let (steps, _) = reported(&bench, &g);
        assert!(steps.len() > 1, "{class}: {steps:?}");
        let mut last = 0.0;
        for (node, value, max) in steps {
            assert_eq!((node.as_str(), max), (passed[0].as_str().unwrap(), 1.0), "{class}");
            assert!((last..=1.0).contains(&value), "{class}: {value} after {last}");
            last = value;
        }
        assert_eq!(bytes(&bench), [255], "{class}");
    }
}

#[test]
fn as_many_sleepers_as_asked_for_wait_side_by_side_and_are_averaged() {
    for (count, byte) in [(1, 0), (2, 127), (5, 102)] {
        let bench = Bench::new();
        let mut g = Graph::default();
        let (black, white) = (g.image("BLACK", 8), g.image("WHITE", 8));
        let inputs = json!({"image1": black, "image2": white, "num_async_nodes": count, "sleep_duration": 0.4});
        let mixed = g.add("TestDynamicAsyncGeneration", inputs);
        g.save(mixed);
        let begun = Instant::now();
        g.run(&bench).unwrap();
        assert!(begun.elapsed() < Duration::from_millis(1600), "one after the other they take 2 s");
        assert_eq!(bytes(&bench), [byte], "{count}");
    }
}

#[test]
fn a_loop_goes_on_while_its_condition_holds() {
    let bench = Bench::new();
    for (from, factorial) in [(1, 1), (4, 24), (6, 720)] {
        let mut g = Graph::default();
        let number = g.add("StubInt", json!({"value": 1}));
        let open = json!({"condition": true, "initial_value0": from, "initial_value1": number});
        let open = g.add("TestWhileLoopOpen", open);
        let (left, product) = (socket(&open, 1), socket(&open, 2));
        let product = g.add("TestIntMathOperation", json!({"a": product, "b": left, "operation": "multiply"}));
        let left = g.add("TestIntMathOperation", json!({"a": left, "b": 1, "operation": "subtract"}));
        let more = g.add("TestIntConditions", json!({"a": left, "b": 0, "operation": ">"}));
        let close = json!({"flow_control": open, "condition": more, "initial_value0": left, "initial_value1": product});
        let close = g.add("TestWhileLoopClose", close);
        g.add("PreviewAny", json!({"source": socket(&close, 1)}));
        let link = |n| Link::new(close[0].as_str().unwrap(), n);
        let options = RunOptions::new().fetching(link(0)).fetching(link(1)).fetching(link(2));
        let report = bench.engine.start(g.prompt()).options(options).run().unwrap();
        let value = |n| report.values(&link(n)).unwrap().at(0).cloned().unwrap();
        assert_eq!((value(0), value(1), value(2)), (Value::Int(0), Value::Int(factorial), Value::Null), "{from}!");
    }
}

#[test]
fn sampling_in_an_expansion_draws_what_the_same_nodes_draw_in_a_prompt() {
    let drawn = |expanded: bool| {
        let bench = Bench::with_assets();
        let mut g = Graph::default();
        let loaded = g.add("CheckpointLoaderSimple", json!({"ckpt_name": "fluent-tiny.safetensors"}));
        let (model, clip, vae) = (loaded.clone(), socket(&loaded, 1), socket(&loaded, 2));
        let image = if expanded {
            let inputs = json!({"model": model, "clip": clip, "vae": vae, "seed": 7, "steps": 1, "cfg": 2.0,
                                "prompt": "a fox", "negative_prompt": "blue"});
            g.add("TestSamplingInExpansion", inputs)
        } else {
            let positive = g.add("CLIPTextEncode", json!({"text": "a fox", "clip": clip}));
            let negative = g.add("CLIPTextEncode", json!({"text": "blue", "clip": clip}));
            let latent = g.add("EmptyLatentImage", json!({"width": 512, "height": 512, "batch_size": 1}));
            let inputs = json!({"model": model, "seed": 7, "steps": 1, "cfg": 2.0, "sampler_name": "euler_ancestral",
                                "scheduler": "normal", "positive": positive, "negative": negative,
                                "latent_image": latent, "denoise": 1.0});
            let sampled = g.add("KSampler", inputs);
            g.add("VAEDecode", json!({"samples": sampled, "vae": vae}))
        };
        g.save(image);
        g.run(&bench).unwrap();
        let file = bench.files(DirKind::Output).remove(0);
        load_image(&bench.folder(DirKind::Output).join(file)).unwrap().rgb
    };
    let (expanded, plain) = (drawn(true), drawn(false));
    assert_eq!(expanded.len(), 512 * 512 * 3);
    assert!(expanded.iter().any(|x| (x - expanded[0]).abs() > 0.1), "an image, not a plain colour");
    assert!(expanded == plain);
}
