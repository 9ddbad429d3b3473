//! What files call a detector's tensors: ultralytics' names, and prefixes of wrappers.

use kiln_memory::{KeyMap, TensorShapes};

/// Keys in ultralytics' names.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let prefixes = ["ema.", "module.", "model."];
    // A state that was saved with its wrapper: `model.model.0.conv.weight`.
    let wrapped = prefixes.into_iter().find(|prefix| names.has(&format!("{prefix}model.0.conv.weight")));
    let map = KeyMap::under(names, wrapped.unwrap_or(""));
    map.renamed(|key| (key.starts_with("model.") && !is_constant(key)).then(|| key.to_owned()))
}

/// Tensors that say nothing: counters, and the constant 0 to 15 by which distances are read.
fn is_constant(key: &str) -> bool {
    key.ends_with("num_batches_tracked") || key.ends_with(".dfl.conv.weight")
}
