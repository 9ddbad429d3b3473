//! Every format: it loads, says what an f32 file of the same numbers says, and says it when no weight may stay.

use std::path::Path;

use kiln_memory::{Budget, TensorShapes};
use kiln_models::{DiffusionModel, Extras, detect::Family};

use super::common::{formats::Format, tiny::Tensors};
use super::{floats, in_file, qwen, sd35m, values, wave};

/// Enough for everything, and less than the largest layer.
const PLENTY: u64 = 1 << 32;
const NOTHING: u64 = 1 << 10;

/// A family with the tensors of its tiny network.
fn families() -> [(Family, TensorShapes); 2] {
    [(Family::SD3, in_file(&sd35m().tensors().unwrap())), (Family::QWEN_IMAGE, qwen().tensors().unwrap())]
}

fn ask(path: &Path, family: Family, room: u64) -> Vec<f32> {
    let model = DiffusionModel::open(path, &Budget::new("test", room)).unwrap();
    assert_eq!(model.family, family);
    let vector = model.network.vector_width().map(|width| wave([1, width]));
    let extras = Extras { vector, ..Extras::default() };
    floats(&model.network.forward(wave([1, 16, 5, 6]), &[0.5], wave([1, 3, 64]), &extras).unwrap())
}

fn under(prefix: &str, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect()
}

fn in_format(format: Format) {
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name);
    for (family, shapes) in families() {
        let whole = under("model.diffusion_model.", &values("test.", &shapes));
        let meant = format.write(&place("model.safetensors"), &whole);
        Format::F32.write(&place("same.safetensors"), &meant);
        let same = ask(&place("same.safetensors"), family, PLENTY);
        assert!(same.iter().all(|v| v.is_finite()));
        let found = ask(&place("model.safetensors"), family, PLENTY);
        assert!(found == same, "{family} says something else than its numbers in f32");
        let streamed = ask(&place("model.safetensors"), family, NOTHING);
        assert!(streamed == same, "{family} says something else when it is streamed");
    }
}

#[test]
fn in_f32() {
    in_format(Format::F32);
}

#[test]
fn in_f16() {
    in_format(Format::F16);
}

#[test]
fn in_bf16() {
    in_format(Format::Bf16);
}

#[test]
fn in_fp8_e4m3fn() {
    in_format(Format::E4m3);
}

#[test]
fn in_fp8_e5m2() {
    in_format(Format::E5m2);
}

#[test]
fn in_gguf() {
    in_format(Format::Gguf);
}

#[test]
fn in_diffusers_names_with_projections_in_parts_and_halves_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    let own = values("test.", &in_file(&sd35m().tensors().unwrap()));
    let (plain, renamed) = (dir.path().join("own.safetensors"), dir.path().join("diffusers.safetensors"));
    Format::F32.write(&plain, &own);
    Format::F32.write(&renamed, &diffusers(&own));
    for room in [PLENTY, NOTHING] {
        assert!(ask(&renamed, Family::SD3, room) == ask(&plain, Family::SD3, PLENTY));
    }
}

/// Tensors of Stable Diffusion 3 as `SD3Transformer2DModel` names and cuts them.
fn diffusers(own: &Tensors) -> Tensors {
    let table = [
        ("pos_embed", "pos_embed.pos_embed"),
        ("x_embedder.proj", "pos_embed.proj"),
        ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
        ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
        ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
        ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
        ("final_layer.linear", "proj_out"),
        ("final_layer.adaLN_modulation.1", "norm_out.linear"),
        ("joint_blocks.", "transformer_blocks."),
        ("x_block.attn2.proj", "attn2.to_out.0"),
        ("x_block.attn2.ln_", "attn2.norm_"),
        ("x_block.attn.proj", "attn.to_out.0"),
        ("context_block.attn.proj", "attn.to_add_out"),
        ("x_block.attn.ln_", "attn.norm_"),
        ("context_block.attn.ln_", "attn.norm_added_"),
        ("x_block.mlp.fc1", "ff.net.0.proj"),
        ("x_block.mlp.fc2", "ff.net.2"),
        ("context_block.mlp.fc1", "ff_context.net.0.proj"),
        ("context_block.mlp.fc2", "ff_context.net.2"),
        ("x_block.adaLN_modulation.1", "norm1.linear"),
        ("context_block.adaLN_modulation.1", "norm1_context.linear"),
    ];
    let rename = |name: &str| table.iter().fold(name.to_owned(), |name, (from, to)| name.replacen(from, to, 1));
    let mut all = Tensors::new();
    for (name, (shape, values)) in own {
        let Some((start, end)) = name.split_once(".qkv.") else {
            let mut values = values.clone();
            // Two heads of 64: the map exchanges the halves of block 1's prompt.
            if name.starts_with("final_layer.adaLN") || name.starts_with("joint_blocks.1.context_block.adaLN") {
                let half = values.len() / 2;
                values.rotate_left(half);
            }
            all.insert(rename(name), (shape.clone(), values));
            continue;
        };
        let parts = match start.rsplit_once('.').unwrap() {
            (block, "attn2") => (block.trim_end_matches(".x_block"), ["attn2.to_q", "attn2.to_k", "attn2.to_v"]),
            (block, _) if block.ends_with("context_block") => {
                (block.trim_end_matches(".context_block"), ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"])
            }
            (block, _) => (block.trim_end_matches(".x_block"), ["attn.to_q", "attn.to_k", "attn.to_v"]),
        };
        let shape = [&[shape[0] / 3], &shape[1..]].concat();
        for (part, values) in parts.1.iter().zip(values.chunks(values.len() / 3)) {
            let block = parts.0.replace("joint_blocks", "transformer_blocks");
            all.insert(format!("{block}.{part}.{end}"), (shape.clone(), values.to_vec()));
        }
    }
    all
}
