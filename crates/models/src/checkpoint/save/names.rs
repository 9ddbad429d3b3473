//! A text encoder's keys as OpenCLIP calls them: the way back from [`clip::open_clip`](crate::nets::clip::open_clip).

use crate::weights::ModelWeights;

/// A tensor of an OpenCLIP file and the keys it is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fused {
    /// Its name without prefix.
    pub(super) name: String,
    /// Keys whose rows lie one behind the other.
    pub(super) keys: Vec<String>,
    /// Whether rows and columns are exchanged.
    pub(super) transposed: bool,
}

/// The tensors of an OpenCLIP file with this encoder's weights.
pub(super) fn open_clip(weights: &ModelWeights) -> Vec<Fused> {
    weights.map().iter().filter_map(|(key, _)| renamed(key)).collect()
}

const OUTSIDE: [(&str, &str); 4] = [
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.weight", "ln_final.weight"),
    ("text_model.final_layer_norm.bias", "ln_final.bias"),
];

const LAYER: [(&str, &str); 5] = [
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("self_attn.out_proj.", "attn.out_proj."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
];

/// `None` for keys and values: they go with their queries.
fn renamed(key: &str) -> Option<Fused> {
    let one = |name: String| Fused { name, keys: vec![key.to_owned()], transposed: false };
    if let Some((_, name)) = OUTSIDE.iter().find(|(from, _)| *from == key) {
        return Some(one((*name).to_owned()));
    }
    if key == "text_projection.weight" {
        return Some(Fused { transposed: true, ..one("text_projection".to_owned()) });
    }
    let layer = key.strip_prefix("text_model.encoder.layers.").and_then(|rest| rest.split_once('.'));
    let Some((index, rest)) = layer else { return Some(one(key.to_owned())) };
    let path = format!("transformer.resblocks.{index}");
    if let Some(end) = rest.strip_prefix("self_attn.q_proj.") {
        let part = |which| format!("text_model.encoder.layers.{index}.self_attn.{which}_proj.{end}");
        let keys = ["q", "k", "v"].map(part).to_vec();
        return Some(Fused { name: format!("{path}.attn.in_proj_{end}"), keys, transposed: false });
    }
    if rest.starts_with("self_attn.k_proj.") || rest.starts_with("self_attn.v_proj.") {
        return None;
    }
    let renamed = LAYER.iter().find_map(|(from, to)| Some(format!("{path}.{to}{}", rest.strip_prefix(from)?)));
    Some(one(renamed.unwrap_or_else(|| format!("{path}.{rest}"))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::renamed;
    use crate::nets::clip;
    use kiln_memory::TensorShapes;

    #[test]
    fn every_name_of_an_open_clip_file_comes_back() {
        let file: TensorShapes = [
            ("token_embedding.weight", vec![9, 4]),
            ("positional_embedding", vec![7, 4]),
            ("transformer.resblocks.0.ln_1.weight", vec![4]),
            ("transformer.resblocks.0.ln_2.bias", vec![4]),
            ("transformer.resblocks.0.attn.in_proj_weight", vec![12, 4]),
            ("transformer.resblocks.0.attn.in_proj_bias", vec![12]),
            ("transformer.resblocks.0.attn.out_proj.weight", vec![4, 4]),
            ("transformer.resblocks.0.mlp.c_fc.weight", vec![16, 4]),
            ("transformer.resblocks.0.mlp.c_proj.bias", vec![4]),
            ("ln_final.weight", vec![4]),
            ("ln_final.bias", vec![4]),
            ("text_projection", vec![4, 5]),
            ("logit_scale", vec![]),
        ]
        .into_iter()
        .collect();
        let map = clip::open_clip(&file, "");
        let back: Vec<String> = map.iter().filter_map(|(key, _)| renamed(key)).map(|fused| fused.name).collect();
        assert_eq!(back, file.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
}
