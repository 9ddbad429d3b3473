//! Which weight a prefix in a LoRA file means: every convention there is, as one table per model.
//!
//! Model keys are those of ComfyUI: `diffusion_model.` and the original name for the UNet, `clip_l.transformer.` and
//! Hugging Face's name for text encoders. The tables hold targets that a model may lack (a skip of equal width); they
//! simply never match.

use kiln_memory::TensorShapes;

use crate::error::ModelError;
use crate::lora::Prefixes;
use crate::{
    checkpoint::detect::TextEncoderKind,
    nets::{
        clip::TextConfig,
        unet::{Layout, Middle, UNetConfig},
    },
};

/// Prefixes for the weights of a UNet.
///
/// # Errors
/// When the configuration contradicts itself.
pub fn unet_keys(config: &UNetConfig) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::new();
    for (key, _) in config.tensors()?.iter() {
        let target = format!("diffusion_model.{key}");
        match key.strip_suffix(".weight") {
            Some(stem) => {
                map.insert(format!("lora_unet_{}", stem.replace('.', "_")), target.clone());
                map.insert(format!("diffusion_model.{stem}"), target);
            }
            None => {
                map.insert(target.clone(), target);
            }
        }
    }
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
    modules(config).into_iter().filter_map(original).collect()
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

/// Parts of a layer that the conventions of text encoders name.
const TEXT: [&str; 6] =
    ["mlp.fc1", "mlp.fc2", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj"];

/// Prefixes for the weights of a model's text encoders.
///
/// # Errors
/// When a configuration contradicts itself.
pub fn text_keys(encoders: &[(TextEncoderKind, &TextConfig)]) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::new();
    let beside_l = encoders.iter().any(|(role, _)| *role == TextEncoderKind::L);
    for (role, config) in encoders {
        generic(&mut map, *role, &config.tensors()?);
        let conventions: &[(&str, bool)] = match (role, beside_l) {
            (TextEncoderKind::G, true) => {
                &[("lora_te2_text_model_encoder_layers_", true), ("text_encoder_2.text_model.encoder.layers.", false)]
            }
            (TextEncoderKind::G, false) => &[
                ("lora_te_text_model_encoder_layers_", true),
                ("text_encoder.text_model.encoder.layers.", false),
                ("lora_prior_te_text_model_encoder_layers_", true),
            ],
            _ => &[
                ("lora_te_text_model_encoder_layers_", true),
                ("lora_te1_text_model_encoder_layers_", true),
                ("text_encoder.text_model.encoder.layers.", false),
            ],
        };
        let clip = role.name();
        for layer in 0..config.layers {
            for part in TEXT {
                let target = format!("{clip}.transformer.text_model.encoder.layers.{layer}.{part}.weight");
                for (start, underscores) in conventions {
                    let name = format!("{layer}.{part}");
                    let name = if *underscores { name.replace('.', "_") } else { name };
                    map.insert(format!("{start}{name}"), target.clone());
                }
            }
        }
        if config.projection.is_some() {
            let target = format!("{clip}.transformer.text_projection.weight");
            let names: &[&str] = match role {
                TextEncoderKind::G => &["lora_prior_te_text_projection", "lora_te2_text_projection"],
                _ => &["lora_te1_text_projection"],
            };
            map.extend(names.iter().map(|name| ((*name).to_owned(), target.clone())));
        }
    }
    Ok(map)
}

fn generic(map: &mut Prefixes, role: TextEncoderKind, tensors: &TensorShapes) {
    for (name, _) in tensors.iter() {
        if let Some(stem) = name.strip_suffix(".weight") {
            let model = format!("{}.transformer.{stem}", role.name());
            map.insert(format!("text_encoders.{model}"), format!("{model}.weight"));
        }
    }
}
