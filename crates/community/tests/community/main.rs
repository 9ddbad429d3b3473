//! The nodes of other packs: each with its right value, and in whole graphs where links matter.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;
mod video;

use common::{Bench, MODEL, TEXT_KEY, UNET_KEY, gguf, lora, of};
use kiln_exec::{Link, Value};
use kiln_graph::{LowerOptions, Workflow};
use kiln_nodes::Latent;
use serde_json::{Value as Json, json};

#[test]
fn constants_are_what_they_are_given() {
    let bench = Bench::new();
    assert_eq!(bench.plain("INTConstant", &json!({"value": -7}), 0), json!(-7));
    assert_eq!(bench.plain("INTConstant", &json!({"value": u64::MAX}), 0), json!(u64::MAX));
    assert_eq!(bench.plain("BOOLConstant", &json!({"value": true}), 0), json!(true));
    assert_eq!(bench.plain("StringConstant", &json!({"string": "a\nb"}), 0), json!("a\nb"));
    for (given, rounded) in
        [(0.123_456_49, 0.123_456), (2.5, 2.5), (0.000_000_5, 0.0), (0.000_001_5, 0.000_002), (-1e18, -1e18)]
    {
        assert_eq!(bench.plain("FloatConstant", &json!({"value": given}), 0), json!(rounded), "{given}");
    }
}

#[test]
fn lines_of_a_long_text_lose_their_ends_or_have_two() {
    let bench = Bench::new();
    let with = |text: &str, strip: bool| {
        bench.plain("StringConstantMultiline", &json!({"string": text, "strip_newlines": strip}), 0)
    };
    assert_eq!(with("a\n\nb\n", true), json!("a\n\nb"));
    assert_eq!(with("a\n\nb\n", false), json!("a\n\n\n\nb\n"));
    assert_eq!(with("", true), json!(""));
}

#[test]
fn texts_are_written_without_their_comments_and_joined_without_the_empty_ones() {
    let bench = Bench::new();
    let written = |text: &str| bench.plain("Text Multiline", &json!({"text": text}), 0);
    assert_eq!(written("a cat\n  # not now\n\n#\n on a mat\n"), json!("a cat\n\n on a mat"));
    assert_eq!(written("[time(%Y)]").as_str().unwrap().len(), 4);

    let text = |text: &str| json!({"class_type": "StringConstant", "inputs": {"string": text}});
    let joined = |delimiter: &str, clean: &str| {
        let inputs = json!({"delimiter": delimiter, "clean_whitespace": clean,
            "text_c": ["c", 0], "text_a": ["a", 0], "text_b": ["b", 0], "text_e": ["e", 0]});
        let nodes = json!({"a": text(" one "), "b": text(" "), "c": text("three"), "e": text("five"),
            "1": {"class_type": "Text Concatenate", "inputs": inputs}});
        bench.output(&nodes, 0).to_json().unwrap()
    };
    assert_eq!(joined(", ", "true"), json!("one, three, five"));
    assert_eq!(joined("\\n", "false"), json!(" one \n \nthree\nfive"));
    assert_eq!(bench.plain("Text Concatenate", &json!({"delimiter": ", ", "clean_whitespace": "true"}), 0), json!(""));
}

#[test]
fn a_shown_text_is_passed_on() {
    let bench = Bench::new();
    let nodes = json!({
        "1": {"class_type": "StringConstant", "inputs": {"string": "owl"}},
        // What the editor's own exports carry beside the link.
        "2": {"class_type": "ShowText|pysssss", "inputs": {"text": ["1", 0], "text_0": "an older owl"}},
        "3": {"class_type": "ShowText|pysssss", "inputs": {"text": ["2", 0]}},
    });
    let report = bench.run(&nodes, &[("2", 0)]).unwrap();
    assert_eq!(report.values(&Link::new("2", 0)).unwrap().at(0).unwrap().to_json(), Some(json!("owl")));
    for node in ["2", "3"] {
        assert_eq!(report.ui(node).unwrap().get("text").unwrap(), [json!("owl")]);
    }
}

#[test]
fn the_size_of_images_is_width_height_and_count() {
    let bench = Bench::new();
    let nodes = json!({"i": {"class_type": "EmptyImage", "inputs": {"width": 48, "height": 32, "batch_size": 3, "color": 0}},
        "1": {"class_type": "GetImageSize+", "inputs": {"image": ["i", 0]}}});
    assert_eq!(
        [0, 1, 2].map(|socket| bench.output(&nodes, socket).to_json().unwrap()),
        [json!(48), json!(32), json!(3)]
    );
}

#[test]
fn images_to_compare_are_shown_beside_each_other() {
    let bench = Bench::new();
    let image = |count: u32, color: u32| json!({"class_type": "EmptyImage", "inputs": {"width": 4, "height": 2, "batch_size": count, "color": color}});
    let nodes = json!({"a": image(1, 0x00ff_0000), "b": image(2, 255),
        "1": {"class_type": "Image Comparer (rgthree)", "inputs": {"image_a": ["a", 0], "image_b": ["b", 0]}},
        "2": {"class_type": "Image Comparer (rgthree)", "inputs": {"image_a": ["b", 0]}}});
    let report = bench.run(&nodes, &[]).unwrap();
    let files = |node: &str, list: &str| -> Vec<String> {
        let files = report.ui(node).unwrap().get(list).unwrap();
        assert!(files.iter().all(|file| file["type"] == "temp" && file["subfolder"] == ""));
        files.iter().map(|file| file["filename"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!([files("1", "a_images").len(), files("1", "b_images").len()], [1, 2]);
    assert_eq!([files("2", "a_images").len(), files("2", "b_images").len()], [2, 0]);
    for (name, colour) in [(&files("1", "a_images")[0], [1.0, 0.0, 0.0]), (&files("1", "b_images")[1], [0.0, 0.0, 1.0])]
    {
        assert!(name.starts_with("rgthree.compare._temp_") && name.ends_with("_.png"), "{name}");
        let image = kiln_nodes::files::load_image(&bench.root.path().join("temp").join(name)).unwrap();
        assert_eq!(image.rgb[..3], colour);
    }
}

#[test]
fn a_switch_passes_the_first_value_on_that_is_there_and_links_of_any_type_take_it() {
    let bench = Bench::new();
    let int = |value: i32| json!({"class_type": "INTConstant", "inputs": {"value": value}});
    let nodes = json!({"a": int(24), "b": int(40),
        // The first input was linked to a muted node.
        "1": {"class_type": "Any Switch (rgthree)", "inputs": {"any_02": ["a", 0], "any_03": ["b", 0], "other": ["b", 0]}},
        "2": {"class_type": "EmptyImage", "inputs": {"width": ["1", 0], "height": ["4", 0], "batch_size": 1, "color": 0}},
        "3": {"class_type": "Any Switch (rgthree)", "inputs": {}},
        "4": {"class_type": "Any Switch (rgthree)", "inputs": {"any_01": ["3", 0], "any_02": ["b", 0]}},
        "5": {"class_type": "GetImageSize+", "inputs": {"image": ["2", 0]}},
        "6": {"class_type": "PreviewAny", "inputs": {"source": ["5", 0]}}});
    let report = bench.run(&nodes, &[("5", 0), ("5", 1), ("3", 0)]).unwrap();
    let value = |node: &str, socket: usize| report.values(&Link::new(node, socket)).unwrap().at(0).unwrap().to_json();
    assert_eq!([value("5", 0), value("5", 1), value("3", 0)], [Some(json!(24)), Some(json!(40)), Some(Json::Null)]);
}

#[test]
fn a_seed_is_itself_and_one_that_the_editor_would_replace_is_another_in_each_run() {
    let bench = Bench::new();
    assert_eq!(
        bench.plain("Seed (rgthree)", &json!({"seed": 1_125_899_906_842_624_i64}), 0),
        json!(1_125_899_906_842_624_i64)
    );
    assert_eq!(bench.plain("Seed (rgthree)", &json!({"seed": -4}), 0), json!(-4));
    for special in [-1, -2, -3] {
        let seeds: Vec<i64> =
            (0..3).map(|_| bench.plain("Seed (rgthree)", &json!({"seed": special}), 0).as_i64().unwrap()).collect();
        assert!(seeds.iter().all(|seed| (1..=1 << 50).contains(seed)), "{seeds:?}");
        assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2], "{seeds:?}");
    }
    let message =
        bench.refused(&json!({"1": {"class_type": "Seed (rgthree)", "inputs": {"seed": 1_125_899_906_842_625_i64}}}));
    assert!(message.contains("1125899906842624"), "{message}");
}

#[test]
fn images_are_resized_as_the_pack_does() {
    // Made by torch 2.6 and Pillow from the node's description: the second image, and the last mask.
    let cases: Vec<Json> = serde_json::from_str(include_str!("data/resize.json")).unwrap();
    assert_eq!(cases.len(), 18);
    let bench = Bench::new();
    for case in cases {
        let (image, width, height, mask) = bench.resized(&case["inputs"], case["mask"] == true).unwrap();
        let [count, rows, columns, channels] = image.dims();
        assert_eq!((json!([columns, rows]), count, channels), (case["size"].clone(), 2, 3), "{}", case["name"]);
        assert_eq!((width, height), (columns as i64, rows as i64), "{}", case["name"]);
        let values = image.values().unwrap();
        close(&case, "image", &values[values.len() / 2..]);
        assert_eq!(json!(mask.dims()), case["masks"], "{}", case["name"]);
        let values = mask.values().unwrap();
        match case["mask_values"].as_array().unwrap().len() {
            0 => assert!(values.iter().all(|value| *value == 0.0)),
            length => close(&case, "mask_values", &values[values.len() - length..]),
        }
    }
}

fn close(case: &Json, part: &str, found: &[f32]) {
    let right: Vec<f32> = case[part].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
    assert_eq!(found.len(), right.len(), "{} {part}", case["name"]);
    let worst = found.iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 2e-5, "{} {part}: {worst}\n{found:?}\n{right:?}", case["name"]);
}

#[test]
fn a_size_that_cannot_be_is_refused_with_what_to_change() {
    let bench = Bench::new();
    for (input, value, parts) in [
        ("width", json!(3), &["0x512", "divisible_by"][..]),
        ("upscale_method", json!("nvidia_rtx_vsr"), &["upscale_method"]),
        ("pad_color", json!("red"), &["`pad_color` is `red`"]),
        ("pad_color", json!("1, 2"), &["`pad_color` has 2 values", "3 channels"]),
    ] {
        let mut inputs = json!({"width": 512, "height": 512, "upscale_method": "area", "keep_proportion": "stretch",
            "pad_color": "0, 0, 0", "crop_position": "center", "divisible_by": 8});
        if input == "pad_color" {
            inputs["keep_proportion"] = json!("pad");
            inputs["width"] = json!(64);
        }
        inputs[input] = value;
        let error = bench.resized(&inputs, false).unwrap_err();
        assert!(error.contains("ImageResizeKJv2") && parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

/// Two steps at 64x64 with what node `1` gives as model and, at socket 1, as text encoders.
fn sampled(bench: &Bench, nodes: &Json) -> Vec<f32> {
    let mut nodes = nodes.clone();
    let own = json!({
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["1", 1]}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"text": "blue", "clip": ["1", 1]}},
        "size": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "sampled": {"class_type": "KSampler", "inputs": {"seed": 4, "steps": 2, "cfg": 3.0, "sampler_name": "euler",
            "scheduler": "normal", "denoise": 1.0, "model": ["1", 0], "positive": ["positive", 0],
            "negative": ["negative", 0], "latent_image": ["size", 0]}},
        "end": {"class_type": "PreviewAny", "inputs": {"source": ["sampled", 0]}},
    });
    for (id, node) in own.as_object().unwrap() {
        if nodes.get(id).is_none() {
            nodes[id] = node.clone();
        }
    }
    let report = bench.run(&nodes, &[("sampled", 0)]).unwrap();
    let latent: Latent = of(report.values(&Link::new("sampled", 0)).unwrap().at(0).unwrap().clone());
    latent.tensor().into_data().try_to_vec::<f32>().unwrap()
}

fn checkpoint() -> Json {
    json!({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": MODEL}})
}

fn power(inputs: &Json) -> Json {
    let mut all = json!({"model": ["0", 0], "clip": ["0", 1],
        "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"}, "\u{2795} Add Lora": ""});
    all.as_object_mut().unwrap().extend(inputs.as_object().unwrap().clone());
    json!({"0": checkpoint(), "1": {"class_type": "Power Lora Loader (rgthree)", "inputs": all}})
}

fn loader(from: &str, name: &str, model: f64, clip: f64) -> Json {
    json!({"class_type": "LoraLoader", "inputs": {"model": [from, 0], "clip": [from, 1], "lora_name": name,
        "strength_model": model, "strength_clip": clip}})
}

#[test]
fn a_list_of_loras_is_a_chain_of_loaders() {
    let bench = Bench::new();
    bench.write("loras", "styles/a.safetensors", &lora(&[UNET_KEY, TEXT_KEY], 0.02));
    bench.write("loras", "b.safetensors", &lora(&[UNET_KEY, TEXT_KEY], -0.03));
    let plain = sampled(&bench, &json!({"1": checkpoint()}));
    let chain = json!({"0": checkpoint(), "2": loader("0", "styles/a.safetensors", 0.8, 0.8),
        "1": loader("2", "b.safetensors", 0.5, -1.5)});
    let right = sampled(&bench, &chain);
    assert_ne!(right, plain);
    let rows = json!({
        "lora_1": {"on": true, "lora": "styles/a.safetensors", "strength": 0.8},
        "lora_2": {"on": false, "lora": "styles/a.safetensors", "strength": 3},
        "lora_3": {"on": true, "lora": "somebody/else/b.pt", "strength": 0.5, "strengthTwo": -1.5},
        "lora_4": {"on": true, "lora": "never heard of it", "strength": 1},
        "lora_5": {"on": true, "lora": "b.safetensors", "strength": 0, "strengthTwo": null},
        "lora_6": {"on": true, "lora": null, "strength": 1},
        "lora_7": {"on": true, "lora": "None", "strength": 1},
        "other": {"on": true, "lora": "b.safetensors", "strength": 1},
    });
    assert_eq!(sampled(&bench, &power(&rows)), right);
    assert_eq!(sampled(&bench, &power(&json!({}))), plain);
}

#[test]
fn without_text_encoders_a_list_of_loras_changes_the_model_alone_and_without_a_model_nothing() {
    let bench = Bench::new();
    bench.write("loras", "a.safetensors", &lora(&[UNET_KEY, TEXT_KEY], 0.02));
    let row = json!({"on": true, "lora": "a", "strength": 0.7, "strengthTwo": 5.0});
    let text = |own: &str| {
        json!({"positive": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": [own, 1]}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"text": "blue", "clip": [own, 1]}}})
    };
    let with = |loader: Json| {
        let mut nodes = text("0");
        nodes["0"] = checkpoint();
        nodes["1"] = loader;
        sampled(&bench, &nodes)
    };
    let only = json!({"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["0", 0], "lora_name": "a.safetensors",
        "strength_model": 0.7}});
    let power = json!({"class_type": "Power Lora Loader (rgthree)", "inputs": {"model": ["0", 0], "lora_1": row}});
    assert_eq!(with(power), with(only));

    let nodes = json!({"0": checkpoint(),
        "1": {"class_type": "Power Lora Loader (rgthree)", "inputs": {"clip": ["0", 1], "lora_1": row}}});
    assert!(matches!(bench.output(&nodes, 0), Value::Null));
    assert!(matches!(bench.output(&nodes, 1), Value::Object(_)));
    let mut wrong = nodes;
    wrong["1"]["inputs"]["model"] = json!(["0", 0]);
    wrong["1"]["inputs"]["lora_1"]["strength"] = json!("much");
    let message = bench.refused(&wrong);
    assert!(message.contains("`lora_1`: `strength` is \"much\""), "{message}");
}

#[test]
fn a_list_of_loras_runs_again_when_one_of_its_files_is_another() {
    let bench = Bench::new();
    bench.write("loras", "a.safetensors", &lora(&[UNET_KEY], 0.02));
    let rows = json!({"lora_1": {"on": true, "lora": "a", "strength": 1}});
    let first = sampled(&bench, &power(&rows));
    assert_eq!(sampled(&bench, &power(&rows)), first);
    bench.write("loras", "a.safetensors", &lora(&[UNET_KEY, TEXT_KEY], 0.02));
    assert_ne!(sampled(&bench, &power(&rows)), first);
}

#[test]
fn gguf_files_have_the_loaders_of_their_pack() {
    let bench = Bench::new();
    bench.write("diffusion_models", "unet.gguf", &gguf("model.diffusion_model."));
    bench.write("diffusion_models", "other.safetensors", b"");
    bench.write("text_encoders", "clip.gguf", &gguf("cond_stage_model.transformer."));
    let plain = sampled(&bench, &json!({"1": checkpoint()}));
    let nodes = json!({
        "1": {"class_type": "UnetLoaderGGUF", "inputs": {"unet_name": "unet.gguf"}},
        "clip": {"class_type": "CLIPLoaderGGUF", "inputs": {"clip_name": "clip.gguf", "type": "stable_diffusion"}},
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["clip", 0]}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"text": "blue", "clip": ["clip", 0]}},
    });
    assert_eq!(sampled(&bench, &nodes), plain);
    let refused = |class: &str, inputs: Json| bench.refused(&json!({"1": {"class_type": class, "inputs": inputs}}));
    let message = refused("UnetLoaderGGUF", json!({"unet_name": "other.safetensors"}));
    assert!(message.contains("there is no `other.safetensors`; choose among `unet.gguf`"), "{message}");
    let two = json!({"clip_name1": "clip.gguf", "clip_name2": "clip.gguf", "type": "sdxl"});
    let message = refused("DualCLIPLoaderGGUF", two);
    assert!(message.contains("DualCLIPLoader") && message.contains("clip.gguf"), "{message}");
}

#[test]
fn a_saved_workflow_with_these_nodes_runs_as_the_editor_would_send_it() {
    let bench = Bench::new();
    bench.write("loras", "a.safetensors", &lora(&[UNET_KEY, TEXT_KEY], 0.02));
    let workflow: Json = serde_json::from_str(include_str!("data/saved.json")).unwrap();
    let workflow = Workflow::from_value(&workflow).unwrap();
    let prompt = workflow.lower(bench.engine.registry(), &LowerOptions::default()).unwrap().to_value();
    let inputs = |node: &str| &prompt[node]["inputs"];
    assert_eq!(
        inputs("2"),
        &json!({"PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
            "lora_1": {"on": true, "lora": "a.safetensors", "strength": 0.75},
            "lora_2": {"on": false, "lora": "b.safetensors", "strength": 1},
            "\u{2795} Add Lora": "", "model": ["1", 0], "clip": ["1", 1]})
    );
    assert_eq!(inputs("3"), &json!({"seed": 42}));
    assert_eq!(inputs("4"), &json!({"any_02": ["5", 0]}), "the first leads to a muted node");
    assert_eq!(inputs("7"), &json!({"text": ["4", 0]}));
    assert_eq!(inputs("8"), &json!({"string": "an owl"}));
    let report = bench.run(&prompt, &[("4", 0)]).unwrap();
    assert_eq!(report.ui("7").unwrap().get("text").unwrap(), [json!("an owl, by night")]);
    let latent: Latent = {
        let report = bench.run(&prompt, &[("9", 0)]).unwrap();
        of(report.values(&Link::new("9", 0)).unwrap().at(0).unwrap().clone())
    };
    assert_eq!(latent.tensor().dims(), [1, 4, 8, 8]);
}
