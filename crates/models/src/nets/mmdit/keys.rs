//! What files call an MMDiT's tensors, in original names.

use super::config::HEAD;
use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

/// Whether the tensors below `prefix` are those of an MMDiT, by whichever names.
pub(crate) fn is_mmdit(names: &TensorShapes, prefix: &str) -> bool {
    names.has(&format!("{prefix}joint_blocks.0.context_block.attn.qkv.weight")) || is_diffusers(names, prefix)
}

fn is_diffusers(names: &TensorShapes, prefix: &str) -> bool {
    let has = |key: &str| names.has(&format!("{prefix}{key}"));
    // A ControlNet in these names is not one.
    has("transformer_blocks.0.attn.add_q_proj.weight")
        && has("pos_embed.proj.weight")
        && !has("controlnet_blocks.0.weight")
}

/// Keys of an MMDiT below `prefix`, under original or diffusers' names. The table of positions is one row for each place.
pub fn keys(names: &TensorShapes, prefix: &str) -> KeyMap {
    let map = if is_diffusers(names, prefix) { diffusers(names, prefix) } else { KeyMap::under(names, prefix) };
    flat_table(map)
}

fn flat_table(mut map: KeyMap) -> KeyMap {
    let table = map.place("pos_embed").cloned();
    if let Some(TensorRef { tensor, shape, .. }) = table
        && let [1, rows, width] = *shape
    {
        map.insert("pos_embed", TensorRef { tensor, part: Slice::Reshaped, shape: vec![rows, width] });
    }
    map
}

/// Which tensors of a block, in diffusers' names, make up one here.
pub(crate) const BLOCK: [(&str, &[&str]); 18] = [
    ("x_block.attn.qkv", &["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("context_block.attn.qkv", &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
    ("x_block.attn2.qkv", &["attn2.to_q", "attn2.to_k", "attn2.to_v"]),
    ("x_block.attn.proj", &["attn.to_out.0"]),
    ("context_block.attn.proj", &["attn.to_add_out"]),
    ("x_block.attn2.proj", &["attn2.to_out.0"]),
    ("x_block.attn.ln_q", &["attn.norm_q"]),
    ("x_block.attn.ln_k", &["attn.norm_k"]),
    ("context_block.attn.ln_q", &["attn.norm_added_q"]),
    ("context_block.attn.ln_k", &["attn.norm_added_k"]),
    ("x_block.attn2.ln_q", &["attn2.norm_q"]),
    ("x_block.attn2.ln_k", &["attn2.norm_k"]),
    ("x_block.mlp.fc1", &["ff.net.0.proj"]),
    ("x_block.mlp.fc2", &["ff.net.2"]),
    ("context_block.mlp.fc1", &["ff_context.net.0.proj"]),
    ("context_block.mlp.fc2", &["ff_context.net.2"]),
    ("x_block.adaLN_modulation.1", &["norm1.linear"]),
    ("context_block.adaLN_modulation.1", &["norm1_context.linear"]),
];

/// Modules outside of the blocks: here, and in diffusers' names.
pub(crate) const OUTSIDE: [(&str, &str); 8] = [
    ("x_embedder.proj", "pos_embed.proj"),
    ("t_embedder.mlp.0", "time_text_embed.timestep_embedder.linear_1"),
    ("t_embedder.mlp.2", "time_text_embed.timestep_embedder.linear_2"),
    ("y_embedder.mlp.0", "time_text_embed.text_embedder.linear_1"),
    ("y_embedder.mlp.2", "time_text_embed.text_embedder.linear_2"),
    ("context_embedder", "context_embedder"),
    ("final_layer.linear", "proj_out"),
    ("final_layer.adaLN_modulation.1", "norm_out.linear"),
];

/// Whether a module has scale and shift the other way round in diffusers' files: the output's, and the prompt's in the last
/// block, where there are only these two.
pub(crate) fn is_swapped(key: &str, last: usize) -> bool {
    key == "final_layer.adaLN_modulation.1"
        || key == format!("joint_blocks.{last}.context_block.adaLN_modulation.1").as_str()
}

fn diffusers(names: &TensorShapes, prefix: &str) -> KeyMap {
    let mut map = KeyMap::default();
    let blocks = names.count(&format!("{prefix}transformer_blocks."));
    // Every published network has as many blocks as heads of 64; their maps go by that.
    let heads = names.side(&format!("{prefix}pos_embed.proj.weight"), 0).unwrap_or_default() / HEAD;
    let last = heads.saturating_sub(1);
    if let Some(shape) = names.shape(&format!("{prefix}pos_embed.pos_embed")) {
        map.whole("pos_embed", format!("{prefix}pos_embed.pos_embed"), shape);
    }
    for (key, module) in OUTSIDE {
        add(&mut map, names, key, &[format!("{prefix}{module}")], last);
    }
    for (i, (part, modules)) in (0..blocks).flat_map(|i| BLOCK.map(|part| (i, part))) {
        let modules: Vec<String> =
            modules.iter().map(|module| format!("{prefix}transformer_blocks.{i}.{module}")).collect();
        add(&mut map, names, &format!("joint_blocks.{i}.{part}"), &modules, last);
    }
    map
}

/// Weight and bias of `key` as those of `modules`; nothing where one of them is missing.
fn add(map: &mut KeyMap, names: &TensorShapes, key: &str, modules: &[String], last: usize) {
    for end in ["weight", "bias"] {
        let mut tensors = modules.iter().map(|module| format!("{module}.{end}"));
        let shapes: Option<Vec<&[usize]>> = tensors.clone().map(|tensor| names.shape(&tensor)).collect();
        let (Some(shapes), Some(tensor)) = (shapes, tensors.next()) else { continue };
        let Some(mut shape) = shapes.first().map(|shape| shape.to_vec()) else { continue };
        if let Some(rows) = shape.first_mut() {
            *rows = shapes.iter().filter_map(|shape| shape.first()).sum();
        }
        let more: Vec<String> = tensors.collect();
        let part = match more.is_empty() {
            false => Slice::Joined(more),
            true if is_swapped(key, last) => Slice::Swapped,
            true => Slice::Whole,
        };
        map.insert(format!("{key}.{end}"), TensorRef { tensor, part, shape });
    }
}
