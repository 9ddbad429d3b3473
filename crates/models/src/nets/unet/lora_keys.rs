//! Which weight of a UNet a prefix in a LoRA file means, by every convention there is.
//!
//! Model keys are those of ComfyUI: `diffusion_model.` and the original name. The table holds targets that a model may
//! lack (a skip of equal width); they simply never match.

use super::{
    config::{Middle, UNetConfig},
    keys::Layout,
    variant::Variant,
};
use crate::error::ModelError;
use crate::lora::Prefixes;

/// Prefixes for the weights of a UNet.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn unet_keys(config: &UNetConfig) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::of_tensors(&config.tensors()?);
    for (name, key) in diffusers(config) {
        let target = format!("diffusion_model.{key}.weight");
        let joined = name.replace('.', "_");
        map.insert(format!("lora_unet_{joined}"), target.clone());
        map.insert(format!("lycoris_{joined}"), target.clone());
        let processor = name.replace(".to_", ".processor.to_");
        let processor = match processor.strip_suffix(".to_out.0") {
            Some(stem) => format!("{stem}.to_out"),
            None => processor,
        };
        for start in ["", "unet."] {
            map.insert(format!("{start}{processor}"), target.clone());
            // As PEFT writes them; ComfyUI knows only the processors' names.
            map.insert(format!("{start}{name}"), target.clone());
        }
    }
    Ok(map)
}

const RESIDUAL: [&str; 6] = ["norm1", "conv1", "time_emb_proj", "norm2", "conv2", "conv_shortcut"];
const TRANSFORMER: [&str; 3] = ["norm", "proj_in", "proj_out"];
const BLOCK: [&str; 13] = [
    "attn1.to_q",
    "attn1.to_k",
    "attn1.to_v",
    "attn1.to_out.0",
    "attn2.to_q",
    "attn2.to_k",
    "attn2.to_v",
    "attn2.to_out.0",
    "norm1",
    "norm2",
    "norm3",
    "ff.net.0.proj",
    "ff.net.2",
];
/// What a block over frames has before those.
const BEFORE: [&str; 3] = ["norm_in", "ff_in.net.0.proj", "ff_in.net.2"];
const OUTSIDE: [&str; 9] = [
    "conv_in",
    "conv_norm_out",
    "conv_out",
    "time_embedding.linear_1",
    "time_embedding.linear_2",
    "class_embedding.linear_1",
    "class_embedding.linear_2",
    "add_embedding.linear_1",
    "add_embedding.linear_2",
];

/// Diffusers' names of a UNet's modules with the original ones.
fn diffusers(config: &UNetConfig) -> Vec<(String, String)> {
    let layout = Layout::of_config(config);
    let original = |name: String| {
        let key = layout.rename(&format!("{name}.weight"))?;
        Some((name, key.strip_suffix(".weight")?.to_owned()))
    };
    let mut names: Vec<(String, String)> = modules(config).into_iter().filter_map(original).collect();
    if let Variant::Video { .. } = config.variant {
        names.extend(names.iter().flat_map(|(name, key)| over_frames(config, name, key)).collect::<Vec<_>>());
    }
    names
}

/// Layers over frames that belong to a layer over places, and what diffusers calls the latter in a video UNet.
///
/// Source: diffusers, `UNetSpatioTemporalConditionModel` and its conversion of Stable Video Diffusion.
fn over_frames(config: &UNetConfig, name: &str, key: &str) -> Vec<(String, String)> {
    if let Some((path, part)) = name.split_once(".resnets.").and_then(|_| name.rsplit_once('.')) {
        let root = ["in_layers", "emb_layers", "out_layers", "skip_connection"].iter().find_map(|part| key.find(part));
        let Some((root, end)) = root.map(|at| key.split_at(at)) else { return Vec::new() };
        return vec![
            (format!("{path}.spatial_res_block.{part}"), key.to_owned()),
            (format!("{path}.temporal_res_block.{part}"), format!("{root}time_stack.{end}")),
        ];
    }
    let (Some(path), Some(root)) = (name.strip_suffix(".proj_in"), key.strip_suffix(".proj_in")) else {
        return Vec::new();
    };
    let block = |d: usize| {
        let parts = BLOCK.iter().chain(&BEFORE).copied();
        parts.map(move |part| (format!("temporal_transformer_blocks.{d}.{part}"), format!("time_stack.{d}.{part}")))
    };
    let depth = config.depth.iter().chain(&config.depth_output).copied().max().unwrap_or_default();
    let numbers = [("linear_1", 0), ("linear_2", 2)];
    let numbers = numbers.map(|(name, n)| (format!("time_pos_embed.{name}"), format!("time_pos_embed.{n}")));
    let all = (0..depth).flat_map(block).chain(numbers);
    all.map(|(name, key)| (format!("{path}.{name}"), format!("{root}.{key}"))).collect()
}

fn modules(config: &UNetConfig) -> Vec<String> {
    let mut names: Vec<String> = OUTSIDE.iter().map(|name| (*name).to_owned()).collect();
    let mut depths = config.depth.iter().copied();
    for (level, blocks) in config.res_blocks.iter().enumerate() {
        for i in 0..*blocks {
            residual(&mut names, &format!("down_blocks.{level}.resnets.{i}"));
            transformer(&mut names, &format!("down_blocks.{level}.attentions.{i}"), depths.next().unwrap_or(0));
        }
        names.push(format!("down_blocks.{level}.downsamplers.0.conv"));
    }
    if let Middle::Transformer(depth) = config.middle {
        transformer(&mut names, "mid_block.attentions.0", depth);
    }
    residual(&mut names, "mid_block.resnets.0");
    residual(&mut names, "mid_block.resnets.1");
    let mut depths = config.depth_output.iter().rev().copied();
    for (level, blocks) in config.res_blocks.iter().rev().enumerate() {
        for i in 0..=*blocks {
            residual(&mut names, &format!("up_blocks.{level}.resnets.{i}"));
            transformer(&mut names, &format!("up_blocks.{level}.attentions.{i}"), depths.next().unwrap_or(0));
        }
        names.push(format!("up_blocks.{level}.upsamplers.0.conv"));
    }
    names
}

fn residual(names: &mut Vec<String>, path: &str) {
    names.extend(RESIDUAL.iter().map(|part| format!("{path}.{part}")));
}

fn transformer(names: &mut Vec<String>, path: &str, depth: usize) {
    if depth > 0 {
        names.extend(TRANSFORMER.iter().map(|part| format!("{path}.{part}")));
    }
    for d in 0..depth {
        names.extend(BLOCK.iter().map(|part| format!("{path}.transformer_blocks.{d}.{part}")));
    }
}
