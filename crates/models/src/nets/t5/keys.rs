//! What files call a T5 encoder's tensors, in Hugging Face's names.

use kiln_memory::{KeyMap, TensorShapes};

/// Where files keep the encoder: by itself, or in a checkpoint.
const PREFIXES: [&str; 4] = ["", "t5xxl.transformer.", "text_encoders.t5xxl.transformer.", "text_encoder_3."];

/// The prefix of the encoder among `names`, if one is there.
pub fn find(names: &TensorShapes) -> Option<&'static str> {
    PREFIXES.into_iter().find(|prefix| {
        let table = ["shared.weight", "encoder.embed_tokens.weight", "token_embd.weight"];
        let first = ["encoder.block.0.layer.0.SelfAttention.q.weight", "enc.blk.0.attn_q.weight"];
        let has = |ends: &[&str]| ends.iter().any(|end| names.has(&format!("{prefix}{end}")));
        has(&table) && has(&first)
    })
}

/// Keys of an encoder under Hugging Face's or llama.cpp's names below `prefix`.
pub fn hugging_face(names: &TensorShapes, prefix: &str) -> KeyMap {
    let map = KeyMap::under(names, prefix);
    let shared = map.place("shared.weight").is_some();
    map.renamed(|key| match key {
        // The same table under its second name: only if it is the only one.
        "encoder.embed_tokens.weight" => (!shared).then(|| "shared.weight".to_owned()),
        "token_embd.weight" => Some("shared.weight".to_owned()),
        "enc.output_norm.weight" => Some("encoder.final_layer_norm.weight".to_owned()),
        // Notes of files about themselves, and the decoder.
        "scaled_fp8" | "spiece_model" | "logit_scale" => None,
        _ if key.starts_with("decoder.") || key.starts_with("lm_head.") => None,
        _ => Some(block(key).unwrap_or_else(|| key.to_owned())),
    })
}

const LAYER: [(&str, &str); 10] = [
    ("attn_q", "0.SelfAttention.q"),
    ("attn_k", "0.SelfAttention.k"),
    ("attn_v", "0.SelfAttention.v"),
    ("attn_o", "0.SelfAttention.o"),
    ("attn_rel_b", "0.SelfAttention.relative_attention_bias"),
    ("attn_norm", "0.layer_norm"),
    ("ffn_gate", "1.DenseReluDense.wi_0"),
    ("ffn_up", "1.DenseReluDense.wi_1"),
    ("ffn_down", "1.DenseReluDense.wo"),
    ("ffn_norm", "1.layer_norm"),
];

/// llama.cpp's name of a block's tensor.
fn block(key: &str) -> Option<String> {
    let (index, rest) = key.strip_prefix("enc.blk.")?.split_once('.')?;
    let (name, end) = rest.split_once('.')?;
    let (_, here) = LAYER.iter().find(|(there, _)| *there == name)?;
    Some(format!("encoder.block.{index}.layer.{here}.{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama_cpps_names_are_hugging_faces() {
        let names =
            ["token_embd.weight", "enc.blk.3.attn_rel_b.weight", "enc.blk.0.attn_q.weight", "enc.output_norm.weight"];
        let names: TensorShapes = names.into_iter().map(|name| (name.to_owned(), vec![2, 2])).collect();
        assert_eq!(find(&names), Some(""));
        let found = hugging_face(&names, "").names();
        for key in [
            "shared.weight",
            "encoder.block.3.layer.0.SelfAttention.relative_attention_bias.weight",
            "encoder.block.0.layer.0.SelfAttention.q.weight",
            "encoder.final_layer_norm.weight",
        ] {
            assert!(found.has(key), "{key}");
        }
    }
}
