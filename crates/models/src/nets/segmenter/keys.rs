//! What files call a segmenter's tensors: EfficientSAM's names, those of its first releases, and prefixes of wrappers.

use kiln_memory::{KeyMap, TensorShapes};

/// Keys in EfficientSAM's names.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let prefix = ["", "model.", "module."].into_iter().find(|p| names.has(&format!("{p}image_encoder.pos_embed")));
    KeyMap::under(names, prefix.unwrap_or("")).renamed(|key| {
        // What a traced model keeps beside its weights.
        if key.starts_with("pixel_") {
            return None;
        }
        let key = key.replace("image_encoder.neck_layers.0.", "image_encoder.neck.");
        Some(key.replace("image_encoder.patch_embed.proj.0.", "image_encoder.patch_embed.proj."))
    })
}
