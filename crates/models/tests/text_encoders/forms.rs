//! Text encoders out of files of every form: each gives what the numbers that the file stands for give.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use kiln_memory::{Budget, MemorySource, TensorShapes, hash_uniform};
use kiln_models::clip::Token;
use kiln_models::family::TextNetwork;
use kiln_models::llm::{LlmConfig, LlmKind};
use kiln_models::t5::T5Config;
use kiln_models::text::{encode_flux2, encode_t5, encode_z_image};
use kiln_models::tokenizer::WeightedToken;
use kiln_models::{ModelWeights, TextEncoders};

use super::common::formats::Format;
use super::common::tiny::Tensors;

const FORMS: [Format; 4] = [Format::F16, Format::Bf16, Format::E4m3, Format::Gguf];

fn tensors(names: &TensorShapes) -> Tensors {
    let value = |(name, shape): (&str, &[usize])| {
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(name, shape, &mut values);
        (name.to_owned(), (shape.to_vec(), values))
    };
    names.iter().map(value).collect()
}

/// What the numbers of a file give in a network that is built over them.
fn weights(meant: &Tensors) -> ModelWeights {
    let mut source = MemorySource::new("twin");
    for (name, (shape, values)) in meant {
        source.insert_f32(name.as_str(), shape, values.clone()).unwrap();
    }
    ModelWeights::plain(source, "twin", &Budget::unlimited("test"))
}

fn open(path: &Path, kind: &str) -> TextNetwork {
    let text = TextEncoders::open_as(&[path], kind, &Budget::unlimited("test")).unwrap();
    text.encoders[0].model.clone()
}

fn run(network: &TextNetwork) -> Vec<f32> {
    let (ids, device) = ([3u32, 1, 4, 1, 5], Device::flex());
    let row: Vec<Token> = ids.into_iter().map(Token::Id).collect();
    let states = match network {
        TextNetwork::T5(model) => {
            let weighted = |token| WeightedToken { token, weight: 1.0, word: 1 };
            encode_t5(model, &row.into_iter().map(weighted).collect::<Vec<_>>(), -1, &device).unwrap()
        }
        TextNetwork::Llm(model, _) if model.config().kind == LlmKind::Mistral3 => {
            encode_flux2(model, &row, &device).unwrap().context
        }
        TextNetwork::Llm(model, _) => encode_z_image(model, &row, &device).unwrap().context,
        TextNetwork::Clip(_) => panic!("CLIP reads chunks"),
    };
    states.into_data().try_to_vec::<f32>().unwrap()
}

fn llm(kind: LlmKind, layers: usize) -> LlmConfig {
    let (vocabulary, width, mlp, head_width) = (16, 32, 32, 128);
    let (heads, kv_heads, final_norm, interleaved) = (2, 1, true, false);
    LlmConfig { kind, vocabulary, width, layers, heads, kv_heads, head_width, mlp, final_norm, interleaved }
}

#[test]
fn t5_of_every_form_is_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (vocabulary, width, inner, heads) = (32, 32, 32, 2);
    let config = T5Config { vocabulary, width, inner, heads, mlp: 32, layers: 2, buckets: 32, own_distances: false };
    for form in FORMS {
        let path = folder.path().join(format!("{form:?}.bin"));
        let meant = form.write(&path, &tensors(&config.tensors().unwrap()));
        let twin = TextNetwork::T5(Arc::new(config.init(&weights(&meant)).unwrap()));
        assert_eq!(run(&open(&path, "sd3")), run(&twin), "{form:?}");
    }
}

#[test]
fn a_language_model_of_every_form_is_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let config = llm(LlmKind::Qwen3, 3);
    for form in FORMS {
        let path = folder.path().join(format!("{form:?}.bin"));
        let meant = form.write(&path, &tensors(&config.tensors().unwrap()));
        let twin = config.clone().cut_to(2).init(&weights(&meant)).unwrap();
        assert_eq!(run(&open(&path, "lumina2")), run(&TextNetwork::Llm(Arc::new(twin), None)), "{form:?}");
    }
}

/// llama.cpp's name and rows: queries and keys of a head by pairs that turn together.
fn llama_cpp(name: &str, shape: &[usize], values: &[f32]) -> Option<(String, Vec<f32>)> {
    const NAMES: [(&str, &str); 9] = [
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
    ];
    match name {
        "model.embed_tokens.weight" => return Some(("token_embd.weight".to_owned(), values.to_vec())),
        "model.norm.weight" => return Some(("output_norm.weight".to_owned(), values.to_vec())),
        _ => {}
    }
    let (index, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (_, there) = NAMES.iter().find(|(here, _)| rest.trim_end_matches(".weight") == *here)?;
    let mut rows = values.to_vec();
    if matches!(*there, "attn_q" | "attn_k") {
        let width = shape[1];
        for (at, row) in rows.chunks_exact_mut(width).enumerate() {
            let (head, place) = (at / 128, at % 128);
            let from = head * 128 + place / 2 + 64 * (place % 2);
            row.copy_from_slice(&values[from * width..(from + 1) * width]);
        }
    }
    Some((format!("blk.{index}.{there}.weight"), rows))
}

#[test]
fn llama_cpps_mistral_is_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let config = llm(LlmKind::Mistral3, 30);
    let plain = tensors(&config.tensors().unwrap());
    let (here, there) = (folder.path().join("here.safetensors"), folder.path().join("there.gguf"));
    Format::F16.write(&here, &plain);
    let renamed: Tensors = plain
        .iter()
        .map(|(name, (shape, values))| {
            let (name, values) = llama_cpp(name, shape, values).unwrap();
            (name, (shape.clone(), values))
        })
        .collect();
    Format::F16.write(&there, &renamed);
    let (here, there) = (run(&open(&here, "flux2")), run(&open(&there, "flux2")));
    let largest = here.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    assert!(here.iter().zip(&there).all(|(a, b)| (a - b).abs() <= 1e-5 * largest));
}
