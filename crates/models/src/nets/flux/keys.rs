//! What files call a Flux network's tensors.

use std::collections::HashMap;

use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

use super::names::{Name, Part, names, weight_end};

/// A tensor of a file that holds some rows of a layer.
struct RowsOf {
    /// The first of them, in multiples of the hidden width.
    first: usize,
    tensor: String,
    shape: Vec<usize>,
}

/// Whether the tensors below `prefix` have diffusers' names.
pub(super) fn is_diffusers(names: &TensorShapes, prefix: &str) -> bool {
    let has = |name: &str| names.has(&format!("{prefix}{name}"));
    has("x_embedder.weight")
        && names.any(&format!("{prefix}single_transformer_blocks."))
        && !has("cap_embedder.1.weight")
}

/// Keys of a network under original names below `prefix`. Later files call the scales of queries and keys `weight`.
pub fn original(names: &TensorShapes, prefix: &str) -> KeyMap {
    KeyMap::under(names, prefix).renamed(|key| {
        let norm = key.strip_suffix(".weight").filter(|stem| stem.ends_with("_norm") && stem.contains("blocks."));
        Some(norm.map_or_else(|| key.to_owned(), |stem| format!("{stem}.scale")))
    })
}

/// Keys of a network under diffusers' names below `prefix`: what is apart there is joined row by row.
pub fn diffusers(shapes: &TensorShapes, prefix: &str) -> KeyMap {
    let blocks = |kind: &str| shapes.count(&format!("{prefix}{kind}."));
    let table = names(blocks("transformer_blocks"), blocks("single_transformer_blocks"));
    let by_name: HashMap<&str, &Name> = table.iter().map(|name| (name.diffusers.as_str(), name)).collect();
    let mut map = KeyMap::default();
    let mut parts: Vec<(String, Vec<RowsOf>)> = Vec::new();
    for (tensor, shape) in shapes.iter() {
        let Some((stem, end)) = tensor.strip_prefix(prefix).and_then(|key| key.rsplit_once('.')) else { continue };
        let Some(name) = by_name.get(stem) else { continue };
        let end = if end == "weight" { weight_end(&name.key) } else { end };
        let key = format!("{}.{end}", name.key);
        match name.part {
            Part::Whole => map.whole(key, tensor, shape),
            Part::Swapped => {
                map.insert(key, TensorRef { tensor: tensor.into(), part: Slice::Swapped, shape: shape.to_vec() });
            }
            Part::Rows { first, .. } => {
                let part = RowsOf { first, tensor: tensor.to_owned(), shape: shape.to_vec() };
                match parts.iter_mut().find(|(own, _)| *own == key) {
                    Some((_, own)) => own.push(part),
                    None => parts.push((key, vec![part])),
                }
            }
        }
    }
    for (key, mut parts) in parts {
        parts.sort_by_key(|part| part.first);
        map.insert(key, joined(parts));
    }
    map
}

fn joined(parts: Vec<RowsOf>) -> TensorRef {
    let mut shape = parts.first().map(|part| part.shape.clone()).unwrap_or_default();
    if let Some(rows) = shape.first_mut() {
        *rows = parts.iter().filter_map(|part| part.shape.first()).sum();
    }
    let mut tensors = parts.into_iter().map(|part| part.tensor);
    let tensor = tensors.next().unwrap_or_default();
    TensorRef { tensor, part: Slice::Joined(tensors.collect()), shape }
}
