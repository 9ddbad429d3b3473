//! LoRA files whose tensors have names of their own: renamed as a whole before anything is looked for in them.
//!
//! Facts: Black Forest Labs' control LoRAs (Canny, Depth) and ByteDance's USO.

use std::sync::Arc;

use kiln_memory::{KeyMap, RenamedSource, TensorShapes, TensorSource};

/// A file under names that are looked for.
pub(super) struct Converted {
    pub(super) source: Arc<dyn TensorSource>,
    /// Prefixes whose weight grows to a shape.
    pub(super) grown: Vec<(String, Vec<usize>)>,
}

/// `source` itself, unless it is of a kind with names of its own.
pub(super) fn converted(source: Arc<dyn TensorSource>) -> Converted {
    let has = |name: &str| source.info(name).is_some();
    let rename: fn(&str) -> String = if has("img_in.lora_A.weight") && has("single_blocks.0.norm.key_norm.scale") {
        control
    } else if has("single_blocks.37.processor.qkv_lora.up.weight")
        && has("double_blocks.18.processor.qkv_lora2.up.weight")
    {
        uso
    } else {
        return Converted { source, grown: Vec::new() };
    };
    let names = TensorShapes::of(&*source);
    let map = KeyMap::under(&names, "").renamed(|key| Some(rename(key)));
    let sides = names.side("img_in.lora_B.weight", 0).zip(names.side("img_in.lora_A.weight", 1));
    let grown = sides.map(|(rows, columns)| ("diffusion_model.img_in".to_owned(), vec![rows, columns]));
    Converted { source: Arc::new(RenamedSource::new(source, &map)), grown: grown.into_iter().collect() }
}

/// The image's first layer takes more channels; biases come beside the factors, and scales in the model's place.
fn control(key: &str) -> String {
    let key = match key.strip_suffix("_norm.scale") {
        Some(stem) => format!("{stem}_norm.scale.set_weight"),
        None => key.replace(".lora_B.bias", ".diff_b"),
    };
    format!("diffusion_model.{key}")
}

fn uso(key: &str) -> String {
    const NAMES: [(&str, &str); 9] = [
        (".down.weight", ".lora_down.weight"),
        (".up.weight", ".lora_up.weight"),
        (".qkv_lora2.", ".txt_attn.qkv."),
        (".qkv_lora1.", ".img_attn.qkv."),
        (".proj_lora1.", ".img_attn.proj."),
        (".proj_lora2.", ".txt_attn.proj."),
        (".qkv_lora.", ".linear1_qkv."),
        (".proj_lora.", ".linear2."),
        (".processor", ""),
    ];
    let key = NAMES.iter().fold(key.to_owned(), |key, (from, to)| key.replace(from, to));
    format!("diffusion_model.{key}")
}
