//! What a list of tensor names looks like, in words for an error message.

use kiln_memory::TensorShapes;

use super::known::known;
use super::parts::{Detected, text_encoders, vae, video_vae};
use super::table::families;
use crate::nets::family::Family;

/// What the names look like: "a UNet (SD1, 320 wide), a VAE", "a LoRA", or a few of the names themselves.
pub fn describe(names: &TensorShapes) -> String {
    let mut parts = models(names);
    for (what, probe) in PROBES {
        if names.iter().any(|(name, _)| probe(name)) {
            parts.push((*what).to_owned());
        }
    }
    if parts.is_empty() { examples(names) } else { parts.join(", ") }
}

fn models(names: &TensorShapes) -> Vec<String> {
    let mut parts = Vec::new();
    let families = families();
    if let Ok(Some((kind, found))) = families.network(names) {
        let family = Detected::in_checkpoint(names).ok().and_then(|detected| detected.family);
        let family = family.map_or("unknown", Family::name);
        parts.push(format!("{} ({family}, {})", kind.name, found.config.describe()));
    } else if let Some(family) = known(names) {
        parts.push(format!("a {family} model, of a family that Kiln knows by name and does not run"));
    }
    for (role, found) in text_encoders(names).unwrap_or_default() {
        parts.push(format!("a text encoder ({}, {} wide)", role.name(), found.config.width()));
    }
    if let Ok(Some(found)) = vae(names, &["first_stage_model.", "vae.", ""]) {
        parts.push(format!("a VAE ({} wide)", found.config.channels));
    }
    if let Ok(Some(found)) = video_vae(names, &["first_stage_model.", "vae.", ""]) {
        parts.push(format!("a VAE of clips ({} wide)", found.config.decoder.output[0]));
    }
    parts
}

type Probe = fn(&str) -> bool;

const PROBES: &[(&str, Probe)] = &[
    ("a LoRA", |name| {
        [".lora_up.", ".lora_down.", ".lora_A.", ".lora_B.", "_lora.up.", ".hada_w1_a", ".lokr_w1", ".lokr_w2"]
            .iter()
            .any(|mark| name.contains(mark))
    }),
    ("a ControlNet", |name| name.contains("zero_convs.0.") || name.contains("controlnet_cond_embedding.")),
    ("a T2I-Adapter", |name| ["body.0.block1.weight", "body.0.out_conv.weight"].iter().any(|end| name.ends_with(end))),
    ("an upscaler", |name| name == "conv_first.weight" || name == "model.0.weight" || name == "body.0.weight"),
    ("a tiny autoencoder", |name| name == "3.conv.0.weight" || name.starts_with("taesd_decoder.")),
    ("an embedding", |name| name == "emb_params"),
    ("a YOLO-World detector", |name| name.ends_with("model.12.attn.gl.weight")),
    ("an EfficientSAM segmenter", |name| name.ends_with("prompt_encoder.bbox_top_left_embeddings.weight")),
    ("Grounding DINO", |name| {
        name.contains("transformer.encoder.fusion_layers.0.") || name.contains("encoder.layers.0.fusion_layer.")
    }),
    ("SAM 2", |name| name.contains("sam_mask_decoder.") || name.starts_with("vision_encoder.backbone.")),
];

fn examples(names: &TensorShapes) -> String {
    let shown: Vec<String> = names.iter().take(3).map(|(name, shape)| format!("`{name}` {shape:?}")).collect();
    match (names.len(), names.len() - shown.len()) {
        (0, _) => "nothing: there are no tensors".into(),
        (_, 0) => format!("nothing; it holds {}", shown.join(", ")),
        (_, more) => format!("nothing; it holds {} and {more} more tensors", shown.join(", ")),
    }
}
