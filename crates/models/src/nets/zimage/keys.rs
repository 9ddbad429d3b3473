//! What files call a Z-Image network's tensors: the original names, and diffusers'.

use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

/// Thirds of `qkv`, in order.
const THIRDS: [&str; 3] = [".attention.to_q.", ".attention.to_k.", ".attention.to_v."];
/// Beginnings that diffusers' files have longer: they name the patch's sides.
const BEGINNINGS: [(&str, &str); 2] =
    [("all_x_embedder.2-1.", "x_embedder."), ("all_final_layer.2-1.", "final_layer.")];
const LAYERS: [(&str, &str); 3] = [
    (".attention.to_out.0.", ".attention.out."),
    (".attention.norm_q.", ".attention.q_norm."),
    (".attention.norm_k.", ".attention.k_norm."),
];

/// Keys of a network below `prefix`, under original or diffusers' names: what is apart there is joined row by row.
pub fn keys(names: &TensorShapes, prefix: &str) -> KeyMap {
    let mut map = KeyMap::default();
    for (tensor, shape) in names.iter() {
        let Some(key) = tensor.strip_prefix(prefix) else { continue };
        match THIRDS.iter().position(|part| key.contains(part)) {
            None => map.whole(renamed(key), tensor, shape),
            Some(0) => {
                let other = |part: &str| tensor.replace(THIRDS[0], part);
                let mut shape = shape.to_vec();
                if let Some(rows) = shape.first_mut() {
                    *rows *= THIRDS.len();
                }
                let part = Slice::Joined(THIRDS[1..].iter().map(|part| other(part)).collect());
                map.insert(key.replace(THIRDS[0], ".attention.qkv."), TensorRef { tensor: tensor.into(), part, shape });
            }
            Some(_) => {}
        }
    }
    map
}

fn renamed(key: &str) -> String {
    let beginning = BEGINNINGS.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)));
    let layer = || LAYERS.iter().find(|(from, _)| key.contains(from)).map(|(from, to)| key.replace(from, to));
    beginning.or_else(layer).unwrap_or_else(|| key.to_owned())
}
