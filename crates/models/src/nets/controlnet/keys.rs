//! What files call a ControlNet's tensors.

use crate::nets::unet::{Layout, is_diffusers};
use kiln_memory::{KeyMap, TensorShapes};

/// Keys in original names without prefix, from original files (with or without `control_model.`) or diffusers' ones.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let prefix = if names.any("control_model.") { "control_model." } else { "" };
    if !is_diffusers(names, prefix) {
        return KeyMap::under(names, prefix).renamed(|key| Some(fused(key).unwrap_or_else(|| key.to_owned())));
    }
    let layout = Layout::of(names, prefix);
    KeyMap::under(names, prefix).renamed(|key| {
        let own = own(key);
        Some(own.or_else(|| layout.rename(key)).unwrap_or_else(|| key.to_owned()))
    })
}

/// Queries, keys and values of a union ControlNet's attention in one, as a layer's name.
fn fused(key: &str) -> Option<String> {
    let (start, end) = key.split_once(".attn.in_proj_")?;
    Some(format!("{start}.attn.in_proj.{end}"))
}

/// Names that only ControlNets have.
fn own(key: &str) -> Option<String> {
    const HINT: &str = "controlnet_cond_embedding.";
    if let Some(end) = key.strip_prefix("controlnet_mid_block.") {
        return Some(format!("middle_block_out.0.{end}"));
    }
    if let Some(rest) = key.strip_prefix("controlnet_down_blocks.") {
        let (n, end) = rest.split_once('.')?;
        return Some(format!("zero_convs.{n}.0.{end}"));
    }
    if let Some(fused) = fused(key) {
        return Some(fused);
    }
    let rest = key.strip_prefix(HINT)?;
    if let Some(end) = rest.strip_prefix("conv_in.") {
        return Some(format!("input_hint_block.0.{end}"));
    }
    if let Some(end) = rest.strip_prefix("conv_out.") {
        return Some(format!("input_hint_block.14.{end}"));
    }
    let (n, end) = rest.strip_prefix("blocks.")?.split_once('.')?;
    Some(format!("input_hint_block.{}.{end}", (n.parse::<usize>().ok()? + 1) * 2))
}
