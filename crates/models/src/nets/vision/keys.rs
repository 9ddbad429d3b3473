//! What files call an image encoder's tensors.

use crate::nets::clip;
use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

const OPEN_CLIP: [(&str, &str); 7] = [
    ("class_embedding", "vision_model.embeddings.class_embedding"),
    ("conv1.weight", "vision_model.embeddings.patch_embedding.weight"),
    ("positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    ("ln_pre.weight", "vision_model.pre_layrnorm.weight"),
    ("ln_pre.bias", "vision_model.pre_layrnorm.bias"),
    ("ln_post.weight", "vision_model.post_layernorm.weight"),
    ("ln_post.bias", "vision_model.post_layernorm.bias"),
];

/// Keys in Hugging Face's names, from files of theirs or of OpenCLIP's (with or without `visual.`).
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let prefix = ["", "visual."].into_iter().find(|prefix| names.has(&format!("{prefix}conv1.weight")));
    below(names, prefix.unwrap_or_default())
}

/// Keys in Hugging Face's names of what lies below `prefix`, in theirs or in OpenCLIP's.
pub(crate) fn below(names: &TensorShapes, prefix: &str) -> KeyMap {
    if !names.has(&format!("{prefix}conv1.weight")) {
        return KeyMap::under(names, prefix);
    }
    let mut map = KeyMap::default();
    for (name, shape) in names.iter() {
        let Some(key) = name.strip_prefix(prefix) else { continue };
        if let Some(rest) = key.strip_prefix("transformer.resblocks.") {
            clip::open_clip_layer(&mut map, "vision_model.encoder.layers", rest, name, shape);
        } else if let Some((_, to)) = OPEN_CLIP.iter().find(|(from, _)| *from == key) {
            map.whole(*to, name, shape);
        } else if let ("proj", [rows, columns]) = (key, shape) {
            let place = TensorRef { tensor: name.into(), part: Slice::Transposed, shape: vec![*columns, *rows] };
            map.insert("visual_projection.weight", place);
        }
    }
    map
}

/// Keys of a style adapter; its layers are OpenCLIP's.
pub(crate) fn style(names: &TensorShapes) -> KeyMap {
    let mut map = KeyMap::default();
    for (name, shape) in names.iter() {
        match name.strip_prefix("transformer_layers.") {
            Some(rest) => clip::open_clip_layer(&mut map, "transformer_layers", rest, name, shape),
            None => map.whole(name, name, shape),
        }
    }
    map
}
