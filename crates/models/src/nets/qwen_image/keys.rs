//! What files call the tensors of Qwen-Image's network: diffusers' names everywhere.

use kiln_memory::{KeyMap, TensorShapes};

/// Whether the tensors below `prefix` are those of Qwen-Image's network.
pub(crate) fn is_qwen_image(names: &TensorShapes, prefix: &str) -> bool {
    let has = |key: &str| names.has(&format!("{prefix}{key}"));
    has("txt_norm.weight") && has("transformer_blocks.0.img_mlp.net.0.proj.weight")
}

/// Keys of Qwen-Image's network below `prefix`.
pub fn keys(names: &TensorShapes, prefix: &str) -> KeyMap {
    KeyMap::under(names, prefix)
}
