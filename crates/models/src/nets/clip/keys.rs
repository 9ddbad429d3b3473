//! What files call a text encoder's tensors, in Hugging Face's names.

use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

/// Keys of an encoder under Hugging Face's names below `prefix`; the `text_model.` that some old files lack is put in.
pub fn hugging_face(names: &TensorShapes, prefix: &str) -> KeyMap {
    KeyMap::under(names, prefix).renamed(|key| {
        let bare = ["embeddings.", "encoder.layers.", "final_layer_norm."].iter().any(|start| key.starts_with(start));
        Some(if bare { format!("text_model.{key}") } else { key.to_owned() })
    })
}

/// Keys of an encoder under OpenCLIP's names below `prefix`. Queries, keys and values come out of their fused tensor.
pub fn open_clip(names: &TensorShapes, prefix: &str) -> KeyMap {
    let mut map = KeyMap::default();
    for (name, shape) in names.iter() {
        let Some(key) = name.strip_prefix(prefix) else { continue };
        if let Some(rest) = key.strip_prefix("transformer.resblocks.") {
            layer(&mut map, "text_model.encoder.layers", rest, name, shape);
        } else {
            outside(&mut map, key, name, shape);
        }
    }
    map
}

fn outside(map: &mut KeyMap, key: &str, name: &str, shape: &[usize]) {
    match key {
        "token_embedding.weight" => map.whole("text_model.embeddings.token_embedding.weight", name, shape),
        "positional_embedding" => map.whole("text_model.embeddings.position_embedding.weight", name, shape),
        "ln_final.weight" => map.whole("text_model.final_layer_norm.weight", name, shape),
        "ln_final.bias" => map.whole("text_model.final_layer_norm.bias", name, shape),
        // A parameter used as x · P, where a linear layer's weight is used as x · Wᵀ.
        "text_projection" if shape.len() == 2 => {
            let place = TensorRef { tensor: name.into(), part: Slice::Transposed, shape: vec![shape[1], shape[0]] };
            map.insert("text_projection.weight", place);
        }
        other => map.whole(other, name, shape),
    }
}

const LAYER: [(&str, &str); 5] = [
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("attn.out_proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
];

/// Maps a tensor of OpenCLIP's block `rest` (`3.attn.in_proj_weight`) to keys of block `layers.3`.
pub(crate) fn layer(map: &mut KeyMap, layers: &str, rest: &str, name: &str, shape: &[usize]) {
    let Some((index, key)) = rest.split_once('.') else { return map.whole(rest, name, shape) };
    let path = format!("{layers}.{index}");
    if let Some(end) = key.strip_prefix("attn.in_proj_") {
        return thirds(map, &path, end, name, shape);
    }
    let renamed = LAYER.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)));
    map.whole(format!("{path}.{}", renamed.as_deref().unwrap_or(key)), name, shape);
}

fn thirds(map: &mut KeyMap, path: &str, end: &str, name: &str, shape: &[usize]) {
    let third = shape.first().copied().unwrap_or(0) / 3;
    for (i, projection) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
        let mut shape = shape.to_vec();
        if let Some(rows) = shape.first_mut() {
            *rows = third;
        }
        let place = TensorRef { tensor: name.into(), part: Slice::Rows(i * third, (i + 1) * third), shape };
        map.insert(format!("{path}.self_attn.{projection}.{end}"), place);
    }
}
