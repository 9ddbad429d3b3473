//! Diffusers' names of a Flux network's layers beside the original ones.
//!
//! Source: diffusers, `FluxTransformer2DModel` and `Flux2Transformer2DModel`.

/// Which part of a layer's rows a name of diffusers' means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// `count` times the hidden width from row `first` times the hidden width on.
    Rows { first: usize, count: usize },
    /// All of them, their halves exchanged: diffusers has scale and shift the other way round.
    Swapped,
}

/// A layer by both names, without `.weight`.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) diffusers: String,
    pub(super) key: String,
    pub(super) part: Part,
}

const OUTSIDE: [(&str, &str); 17] = [
    ("x_embedder", "img_in"),
    ("context_embedder", "txt_in"),
    ("proj_out", "final_layer.linear"),
    ("time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("time_text_embed.text_embedder.linear_1", "vector_in.in_layer"),
    ("time_text_embed.text_embedder.linear_2", "vector_in.out_layer"),
    ("controlnet_x_embedder", "pos_embed_input"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_guidance_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_guidance_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("double_stream_modulation_img.linear", "double_stream_modulation_img.lin"),
    ("double_stream_modulation_txt.linear", "double_stream_modulation_txt.lin"),
    ("single_stream_modulation.linear", "single_stream_modulation.lin"),
];

/// Of `transformer_blocks.i` and `double_blocks.i`.
const DOUBLE: [(&str, &str); 16] = [
    ("attn.to_out.0", "img_attn.proj"),
    ("attn.to_add_out", "txt_attn.proj"),
    ("attn.norm_q", "img_attn.norm.query_norm"),
    ("attn.norm_k", "img_attn.norm.key_norm"),
    ("attn.norm_added_q", "txt_attn.norm.query_norm"),
    ("attn.norm_added_k", "txt_attn.norm.key_norm"),
    ("norm1.linear", "img_mod.lin"),
    ("norm1_context.linear", "txt_mod.lin"),
    ("ff.net.0.proj", "img_mlp.0"),
    ("ff.net.2", "img_mlp.2"),
    ("ff_context.net.0.proj", "txt_mlp.0"),
    ("ff_context.net.2", "txt_mlp.2"),
    ("ff.linear_in", "img_mlp.0"),
    ("ff.linear_out", "img_mlp.2"),
    ("ff_context.linear_in", "txt_mlp.0"),
    ("ff_context.linear_out", "txt_mlp.2"),
];

/// Thirds of a double block's `qkv`, in order.
const THIRDS: [(&str, [&str; 3]); 2] = [
    ("img_attn.qkv", ["attn.to_q", "attn.to_k", "attn.to_v"]),
    ("txt_attn.qkv", ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"]),
];

/// Of `single_transformer_blocks.i` and `single_blocks.i`.
const SINGLE: [(&str, &str); 6] = [
    ("proj_out", "linear2"),
    ("norm.linear", "modulation.lin"),
    ("attn.norm_q", "norm.query_norm"),
    ("attn.norm_k", "norm.key_norm"),
    ("attn.to_qkv_mlp_proj", "linear1"),
    ("attn.to_out", "linear2"),
];

/// Parts of a single block's `linear1`, in multiples of the hidden width.
const LINEAR1: [(&str, usize, usize); 4] =
    [("attn.to_q", 0, 1), ("attn.to_k", 1, 1), ("attn.to_v", 2, 1), ("proj_mlp", 3, 4)];

/// The names of a network with so many blocks of each kind. Some of their layers a network may lack.
pub(super) fn names(double: usize, single: usize) -> Vec<Name> {
    let whole = |diffusers: String, key: String| Name { diffusers, key, part: Part::Whole };
    let mut all: Vec<Name> = OUTSIDE.iter().map(|(from, to)| whole((*from).into(), (*to).into())).collect();
    let (diffusers, key) = ("norm_out.linear".into(), "final_layer.adaLN_modulation.1".into());
    all.push(Name { diffusers, key, part: Part::Swapped });
    for i in 0..double {
        let (from, to) = (format!("transformer_blocks.{i}"), format!("double_blocks.{i}"));
        all.extend(DOUBLE.iter().map(|(name, key)| whole(format!("{from}.{name}"), format!("{to}.{key}"))));
        for (key, parts) in THIRDS {
            all.extend(parts.iter().enumerate().map(|(first, name)| Name {
                diffusers: format!("{from}.{name}"),
                key: format!("{to}.{key}"),
                part: Part::Rows { first, count: 1 },
            }));
        }
    }
    for i in 0..single {
        let (from, to) = (format!("single_transformer_blocks.{i}"), format!("single_blocks.{i}"));
        all.extend(SINGLE.iter().map(|(name, key)| whole(format!("{from}.{name}"), format!("{to}.{key}"))));
        all.extend(LINEAR1.iter().map(|(name, first, count)| Name {
            diffusers: format!("{from}.{name}"),
            key: format!("{to}.linear1"),
            part: Part::Rows { first: *first, count: *count },
        }));
    }
    all
}

/// What a layer's weight is called after its name: scales of queries and keys are no `weight` here.
pub(super) fn weight_end(key: &str) -> &'static str {
    if key.ends_with("_norm") { "scale" } else { "weight" }
}
