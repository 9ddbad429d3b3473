//! Families that Kiln knows by name and does not run: what their files are told by, so that an error names them.
//!
//! Facts from ComfyUI `comfy/model_detection.py`.

use kiln_memory::TensorShapes;

/// Name, and the end of a tensor's name that only this family's files have.
const KNOWN: &[(&str, &str)] = &[
    ("HunyuanVideo", "txt_in.individual_token_refiner.blocks.0.norm1.weight"),
    ("Chroma", "distilled_guidance_layer.0.norms.0.scale"),
    ("Chroma", "distilled_guidance_layer.norms.0.scale"),
    ("HiDream", "caption_projection.0.linear.weight"),
    ("Cosmos", "blocks.block0.blocks.0.block.attn.to_q.0.weight"),
    ("Cosmos Predict2", "t_embedding_norm.weight"),
    ("Mochi", "t5_yproj.weight"),
    ("AuraFlow", "cond_seq_linear.weight"),
    ("Stable Cascade", "clf.1.weight"),
    ("Hunyuan-DiT", "mlp_t5.0.weight"),
    ("PixArt", "t_block.1.weight"),
    ("OmniGen2", "time_caption_embed.timestep_embedder.linear_1.bias"),
    ("ACE-Step", "genre_embedder.weight"),
    ("Stable Audio", "transformer.rotary_pos_emb.inv_freq"),
    ("Lumina 2", "layers.0.adaLN_modulation.1.weight"),
    ("LTX-Video", "adaln_single.emb.timestep_embedder.linear_1.bias"),
    ("Wan", "head.modulation"),
];

/// The family whose network the names are, if it is one that isn't run.
pub(super) fn known(names: &TensorShapes) -> Option<&'static str> {
    let has = |end: &str| names.iter().any(|(name, _)| name.ends_with(end));
    KNOWN.iter().find(|(_, end)| has(end)).map(|(family, _)| *family)
}
