//! Which weight of a text encoder a prefix in a LoRA file means, by every convention there is.
//!
//! Model keys are those of ComfyUI: `clip_l.transformer.` and Hugging Face's name. The table holds targets that a model may
//! lack; they simply never match.

use kiln_memory::TensorShapes;

use crate::error::ModelError;
use crate::lora::Prefixes;
use crate::{checkpoint::detect::TextEncoderKind, nets::family::TextNetworkConfig};

/// Parts of a layer that the conventions of text encoders name.
const TEXT: [&str; 6] =
    ["mlp.fc1", "mlp.fc2", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj"];

/// Prefixes for the weights of a model's text encoders.
///
/// # Errors
/// When a configuration contradicts itself.
pub fn text_keys(encoders: &[(TextEncoderKind, &TextNetworkConfig)]) -> Result<Prefixes, ModelError> {
    let mut map = Prefixes::new();
    let has = |wanted: TextEncoderKind| encoders.iter().any(|(role, _)| *role == wanted);
    let (beside_l, beside_g) = (has(TextEncoderKind::L), has(TextEncoderKind::G));
    for (role, config) in encoders {
        let tensors = config.tensors()?;
        generic(&mut map, *role, &tensors);
        if *role == TextEncoderKind::T5 {
            numbered(&mut map, &tensors, beside_l, beside_g);
        }
        let Some(config) = config.clip() else { continue };
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

/// T5's names with the number that OneTrainer gives it: behind the CLIPs that are there, and third beside CLIP-L alone, too.
fn numbered(map: &mut Prefixes, tensors: &TensorShapes, beside_l: bool, beside_g: bool) {
    let numbers: &[u32] = match (beside_l, beside_g) {
        (true, true) => &[3],
        (true, false) => &[2, 3],
        (false, true) => &[2],
        (false, false) => &[1],
    };
    for (name, _) in tensors.iter() {
        let Some(stem) = name.strip_suffix(".weight") else { continue };
        for number in numbers {
            let key = format!("lora_te{number}_{}", stem.replace('.', "_"));
            map.insert(key, format!("{}.transformer.{name}", TextEncoderKind::T5.name()));
        }
    }
}
