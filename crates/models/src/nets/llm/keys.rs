//! What files call a language model's tensors, in Hugging Face's names.

use kiln_memory::{KeyMap, TensorShapes};

/// Where files keep a language model: by itself, or in a checkpoint.
const PREFIXES: [&str; 7] = [
    "",
    "qwen3_4b.transformer.",
    "qwen25_7b.transformer.",
    "mistral3_24b.transformer.",
    "text_encoders.qwen3_4b.transformer.",
    "text_encoders.qwen25_7b.transformer.",
    "text_encoders.mistral3_24b.transformer.",
];

/// The prefix of a language model among `names`, if one is there.
pub fn find(names: &TensorShapes) -> Option<&'static str> {
    const FIRST: [&str; 3] = [
        "model.layers.0.self_attn.q_proj.weight",
        "model.language_model.layers.0.self_attn.q_proj.weight",
        "blk.0.attn_q.weight",
    ];
    PREFIXES.into_iter().find(|prefix| FIRST.iter().any(|end| names.has(&format!("{prefix}{end}"))))
}

/// Keys of a language model (and of its vision tower, from `visual.` on) under Hugging Face's or llama.cpp's names below
/// `prefix`.
pub fn hugging_face(names: &TensorShapes, prefix: &str) -> KeyMap {
    KeyMap::under(names, prefix).renamed(|key| {
        // What isn't the encoder's: the way back to words, notes of files about themselves, another model's tower.
        const OTHERS: [&str; 6] =
            ["lm_head.", "vision_tower.", "vision_model.", "multi_modal_projector.", "output.", "rope_freqs."];
        if OTHERS.iter().any(|other| key.starts_with(other))
            || matches!(key, "scaled_fp8" | "tekken_model" | "spiece_model")
        {
            return None;
        }
        Some(newer(key).or_else(|| llama_cpp(key)).unwrap_or_else(|| key.to_owned()))
    })
}

/// transformers' later names, which put the model into a `language_model` and the tower beside it.
fn newer(key: &str) -> Option<String> {
    if let Some(rest) = key.strip_prefix("model.language_model.") {
        return Some(format!("model.{rest}"));
    }
    key.strip_prefix("model.visual.").map(|rest| format!("visual.{rest}"))
}

const LAYER: [(&str, &str); 11] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("attn_norm", "input_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
];

fn llama_cpp(key: &str) -> Option<String> {
    match key {
        "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
        "output_norm.weight" => return Some("model.norm.weight".to_owned()),
        _ => {}
    }
    let (index, rest) = key.strip_prefix("blk.")?.split_once('.')?;
    let (name, end) = rest.split_once('.')?;
    let (_, here) = LAYER.iter().find(|(there, _)| *there == name)?;
    Some(format!("model.layers.{index}.{here}.{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_names_is_hugging_faces() {
        let names = [
            "model.language_model.layers.0.self_attn.q_proj.weight",
            "model.visual.blocks.0.norm1.weight",
            "blk.4.ffn_norm.weight",
            "blk.4.attn_k.bias",
            "token_embd.weight",
            "lm_head.weight",
        ];
        let names: TensorShapes = names.into_iter().map(|name| (name.to_owned(), vec![2])).collect();
        assert_eq!(find(&names), Some(""));
        let found = hugging_face(&names, "").names();
        for key in [
            "model.layers.0.self_attn.q_proj.weight",
            "visual.blocks.0.norm1.weight",
            "model.layers.4.post_attention_layernorm.weight",
            "model.layers.4.self_attn.k_proj.bias",
            "model.embed_tokens.weight",
        ] {
            assert!(found.has(key), "{key}");
        }
        assert_eq!(found.len(), 5);
    }
}
