//! What people do by mistake: each either works as in ComfyUI or says what is wrong, naming node and input.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::Bench;
use kiln_exec::{ErrorKind, Prompt};
use serde_json::{Value, json};

/// The classic graph on the bundled model, 64 by 64 in two steps.
fn classic() -> Value {
    json!({
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "fluent-tiny.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a red apple", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
        "3": {"class_type": "KSampler", "inputs": {
            "model": ["4", 0], "seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal",
            "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0], "denoise": 1.0}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}},
    })
}

/// The classic graph with one input changed.
fn with(node: &str, input: &str, value: impl Into<Value>) -> Value {
    let mut graph = classic();
    graph[node]["inputs"][input] = value.into();
    graph
}

/// Runs a graph, and returns what it complains of: `class "id"` and the message, or every fault of validation.
fn complaint(bench: &Bench, graph: &Value) -> Option<String> {
    let error = bench.engine.run(Prompt::from_json(graph.to_string()).unwrap()).err()?;
    assert!(!matches!(error.kind(), ErrorKind::Panicked), "{error}");
    Some(format!("{error:?} {error}"))
}

fn refused(bench: &Bench, graph: &Value) -> String {
    complaint(bench, graph).expect("this is a mistake")
}

fn write(bench: &Bench, folder: &str, name: &str, tensors: &[(&str, &[usize])]) {
    let (mut header, mut at) = (serde_json::Map::new(), 0usize);
    for (name, shape) in tensors {
        let end = at + shape.iter().product::<usize>() * 4;
        header.insert((*name).to_owned(), json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + at, 0);
    let folder = bench.root.path().join("models").join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), file).unwrap();
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

const QUERY: &str = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";

fn with_lora(name: &str) -> Value {
    let mut graph = with("3", "model", json!(["10", 0]));
    graph["6"]["inputs"]["clip"] = json!(["10", 1]);
    graph["10"] = json!({"class_type": "LoraLoader", "inputs": {
        "model": ["4", 0], "clip": ["4", 1], "lora_name": name, "strength_model": 1.0, "strength_clip": 1.0}});
    graph
}

#[test]
fn a_lora_for_another_family_names_the_file_and_what_it_has() {
    let bench = Bench::new();
    write(&bench, "loras", "flux.safetensors", &[("lora_unet_double_blocks_0_img_attn.lora_up.weight", &[4, 2])]);
    let message = refused(&bench, &with_lora("flux.safetensors"));
    assert_says(&message, &["flux.safetensors", "double_blocks_0", "another family"]);
}

#[test]
fn a_lora_of_another_width_names_its_tensor_and_both_shapes() {
    let bench = Bench::new();
    let (up, down) = (format!("{QUERY}.lora_up.weight"), format!("{QUERY}.lora_down.weight"));
    write(&bench, "loras", "wide.safetensors", &[(&up, &[320, 4]), (&down, &[4, 320])]);
    let message = refused(&bench, &with_lora("wide.safetensors"));
    assert_says(&message, &["wide.safetensors", &up, "[320, 4]", "[64, 64]", "another family"]);
}

#[test]
fn files_in_the_wrong_slot_are_called_what_they_are() {
    let bench = Bench::new();
    let vae: &[(&str, &[usize])] =
        &[("decoder.conv_in.weight", &[32, 4, 3, 3]), ("decoder.up.0.block.0.conv1.weight", &[32, 32, 3, 3])];
    write(&bench, "diffusion_models", "vae.safetensors", vae);
    write(&bench, "vae", "lora.safetensors", &[(&format!("{QUERY}.lora_up.weight"), &[4, 2])]);
    let mut graph = with("3", "model", json!(["10", 0]));
    graph["10"] = json!({"class_type": "UNETLoader", "inputs": {
        "unet_name": "vae.safetensors", "weight_dtype": "default"}});
    assert_says(&refused(&bench, &graph), &["vae.safetensors: no UNet", "a VAE (32 wide)"]);
    let mut graph = with("8", "vae", json!(["10", 0]));
    graph["10"] = json!({"class_type": "VAELoader", "inputs": {"vae_name": "lora.safetensors"}});
    assert_says(&refused(&bench, &graph), &["lora.safetensors: no VAE", "a LoRA", "decoder.conv_in.weight"]);
}

#[test]
fn embeddings_of_another_width_and_of_no_name_are_left_out() {
    let bench = Bench::new();
    write(&bench, "embeddings", "wide.safetensors", &[("emb_params", &[3, 768])]);
    for name in ["wide", "missing", "../loras/x"] {
        assert_eq!(complaint(&bench, &with("6", "text", format!("a embedding:{name} apple"))), None);
    }
}

#[test]
fn strange_prompts_are_prompts() {
    let bench = Bench::new();
    let brackets = format!("{}apple{}", "(".repeat(30), ")".repeat(31));
    for text in ["", " \n\t", "שלום 😀 مرحبا \u{202e}", "<|endoftext|><|startoftext|>", "((((", "(:1.2)", &brackets]
    {
        assert_eq!(complaint(&bench, &with("6", "text", text)), None, "{text}");
    }
}

#[test]
fn five_thousand_words_are_a_prompt() {
    assert_eq!(complaint(&Bench::new(), &with("6", "text", "apple ".repeat(5_000))), None);
}

#[test]
fn a_prompt_weight_without_bounds_is_named() {
    for weight in ["inf", "nan", "1e99"] {
        let message = refused(&Bench::new(), &with("6", "text", format!("a (cat:{weight})")));
        assert_says(&message, &["KSampler", "positive", "weight like"]);
    }
}

#[test]
fn numbers_out_of_range_name_node_and_input() {
    let bench = Bench::new();
    let wrong: [(&str, Value); 8] = [
        ("steps", json!(0)),
        ("steps", json!(10_001)),
        ("cfg", json!(-1.0)),
        ("cfg", json!("NaN")),
        ("denoise", json!(2.0)),
        ("seed", json!(-1)),
        ("sampler_name", json!("nosuch")),
        ("scheduler", json!("nosuch")),
    ];
    for (input, value) in wrong {
        assert_says(&refused(&bench, &with("3", input, value)), &["3", input]);
    }
    assert_says(&refused(&bench, &with("5", "width", 8)), &["5", "width"]);
}

#[test]
fn guidance_of_nothing_and_denoising_of_nothing_work() {
    let bench = Bench::new();
    assert_eq!(complaint(&bench, &with("3", "cfg", 0.0)), None);
    assert_eq!(complaint(&bench, &with("3", "denoise", 0.0)), None);
}

#[test]
fn sides_that_eight_does_not_divide_are_cut_as_in_the_reference() {
    let bench = Bench::new();
    for (width, height) in [(65, 71), (16, 129)] {
        let mut graph = with("5", "width", width);
        graph["5"]["inputs"]["height"] = json!(height);
        assert_eq!(complaint(&bench, &graph), None, "{width} x {height}");
    }
}

#[test]
fn masks_of_another_size_are_resized() {
    let bench = Bench::new();
    for (width, height) in [(33, 21), (1, 1)] {
        let mut graph = with("3", "latent_image", json!(["11", 0]));
        graph["10"] = json!({"class_type": "SolidMask", "inputs": {"value": 1.0, "width": width, "height": height}});
        graph["11"] = json!({"class_type": "SetLatentNoiseMask", "inputs": {"samples": ["5", 0], "mask": ["10", 0]}});
        graph["12"] = json!({"class_type": "ConditioningSetMask", "inputs": {
            "conditioning": ["6", 0], "mask": ["10", 0], "strength": 1.0, "set_cond_area": "mask bounds"}});
        graph["3"]["inputs"]["positive"] = json!(["12", 0]);
        assert_eq!(complaint(&bench, &graph), None, "{width} x {height}");
    }
}

#[test]
fn an_area_outside_of_the_image_is_named() {
    let mut graph = with("3", "positive", json!(["10", 0]));
    graph["10"] = json!({"class_type": "ConditioningSetArea", "inputs": {
        "conditioning": ["6", 0], "width": 64, "height": 64, "x": 512, "y": 0, "strength": 1.0}});
    assert_says(&refused(&Bench::new(), &graph), &["KSampler", "area", "8 x 8 cells"]);
}

const T5: &[(&str, &[usize])] = &[
    ("shared.weight", &[32_128, 8]),
    ("encoder.block.0.layer.0.SelfAttention.q.weight", &[8, 8]),
    ("encoder.block.0.layer.0.SelfAttention.k.weight", &[8, 8]),
    ("encoder.block.0.layer.0.SelfAttention.v.weight", &[8, 8]),
    ("encoder.block.0.layer.0.SelfAttention.o.weight", &[8, 8]),
    ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", &[32, 2]),
    ("encoder.block.0.layer.0.layer_norm.weight", &[8]),
    ("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", &[8, 8]),
    ("encoder.block.0.layer.1.DenseReluDense.wi_1.weight", &[8, 8]),
    ("encoder.block.0.layer.1.DenseReluDense.wo.weight", &[8, 8]),
    ("encoder.block.0.layer.1.layer_norm.weight", &[8]),
    ("encoder.final_layer_norm.weight", &[8]),
];

#[test]
fn a_text_encoder_of_another_family_is_named_with_what_is_due() {
    let bench = Bench::new();
    write(&bench, "text_encoders", "t5.safetensors", T5);
    let shown = |kind: &str| {
        json!({
            "1": {"class_type": "CLIPLoader", "inputs": {"clip_name": "t5.safetensors", "type": kind}},
            "2": {"class_type": "T5TokenizerOptions", "inputs": {"clip": ["1", 0], "min_padding": 1, "min_length": 9}},
            "3": {"class_type": "CLIPTextEncodeSD3", "inputs": {
                "clip": ["2", 0], "clip_l": "a", "clip_g": "", "t5xxl": "a cat", "empty_padding": "none"}},
            "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        })
    };
    assert_eq!(complaint(&bench, &shown("sd3")), None, "T5 alone is enough for SD3");
    assert_says(&refused(&bench, &shown("flux2")), &["t5xxl", "mistral3_24b", "FLUX.2"]);
    assert_says(&refused(&bench, &shown("wan")), &["type `wan`", "t5xxl", "`sd3`"]);
    let three = json!({
        "1": {"class_type": "TripleCLIPLoader", "inputs": {
            "clip_name1": "t5.safetensors", "clip_name2": "t5.safetensors", "clip_name3": "t5.safetensors"}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    });
    assert_says(&refused(&bench, &three), &["clip_l", "DualCLIPLoader"]);
}

/// Qwen2.5-VL with one block, and its vision tower.
const QWEN: [(&str, &[usize]); 14] = [
    ("model.embed_tokens.weight", &[152_064, 8]),
    ("model.layers.0.self_attn.q_proj.weight", &[128, 8]),
    ("model.layers.0.self_attn.q_proj.bias", &[128]),
    ("model.layers.0.self_attn.k_proj.weight", &[128, 8]),
    ("model.layers.0.self_attn.k_proj.bias", &[128]),
    ("model.layers.0.self_attn.v_proj.weight", &[128, 8]),
    ("model.layers.0.self_attn.v_proj.bias", &[128]),
    ("model.layers.0.self_attn.o_proj.weight", &[8, 128]),
    ("model.layers.0.mlp.gate_proj.weight", &[8, 8]),
    ("model.layers.0.mlp.up_proj.weight", &[8, 8]),
    ("model.layers.0.mlp.down_proj.weight", &[8, 8]),
    ("model.layers.0.input_layernorm.weight", &[8]),
    ("model.layers.0.post_attention_layernorm.weight", &[8]),
    ("model.norm.weight", &[8]),
];
const TOWER: [(&str, &[usize]); 18] = [
    ("visual.patch_embed.proj.weight", &[80, 3, 2, 14, 14]),
    ("visual.blocks.0.norm1.weight", &[80]),
    ("visual.blocks.0.norm2.weight", &[80]),
    ("visual.blocks.0.attn.qkv.weight", &[240, 80]),
    ("visual.blocks.0.attn.qkv.bias", &[240]),
    ("visual.blocks.0.attn.proj.weight", &[80, 80]),
    ("visual.blocks.0.attn.proj.bias", &[80]),
    ("visual.blocks.0.mlp.gate_proj.weight", &[16, 80]),
    ("visual.blocks.0.mlp.gate_proj.bias", &[16]),
    ("visual.blocks.0.mlp.up_proj.weight", &[16, 80]),
    ("visual.blocks.0.mlp.up_proj.bias", &[16]),
    ("visual.blocks.0.mlp.down_proj.weight", &[80, 16]),
    ("visual.blocks.0.mlp.down_proj.bias", &[80]),
    ("visual.merger.ln_q.weight", &[80]),
    ("visual.merger.mlp.0.weight", &[320, 320]),
    ("visual.merger.mlp.0.bias", &[320]),
    ("visual.merger.mlp.2.weight", &[8, 320]),
    ("visual.merger.mlp.2.bias", &[8]),
];

#[test]
fn an_image_for_a_text_encoder_without_a_vision_tower_is_refused_and_any_size_is_seen_with_one() {
    let bench = Bench::new();
    write(&bench, "text_encoders", "blind.safetensors", &QWEN);
    write(&bench, "text_encoders", "qwen.safetensors", &[&QWEN[..], &TOWER[..]].concat());
    let edit = |file: &str, class: &str, image: &str, width: u32| {
        json!({
            "1": {"class_type": "CLIPLoader", "inputs": {"clip_name": file, "type": "qwen_image"}},
            "2": {"class_type": "EmptyImage", "inputs": {"width": width, "height": 1, "batch_size": 1, "color": 255}},
            "3": {"class_type": class, "inputs": {"clip": ["1", 0], "prompt": "paint it", image: ["2", 0]}},
            "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        })
    };
    let plus = "TextEncodeQwenImageEditPlus";
    assert_eq!(complaint(&bench, &edit("qwen.safetensors", plus, "image2", 1)), None);
    assert_eq!(complaint(&bench, &edit("qwen.safetensors", plus, "image3", 16_384)), None);
    assert_says(&refused(&bench, &edit("blind.safetensors", plus, "image1", 8)), &["vision tower", "qwen_2.5_vl_7b"]);
    let mut words = edit("blind.safetensors", "TextEncodeQwenImageEdit", "image", 8);
    words["3"]["inputs"].as_object_mut().unwrap().remove("image");
    assert_eq!(complaint(&bench, &words), None, "without an image no tower is needed");
}
