//! What files call the video autoencoder's tensors, in original (Wan 2.1) names.

use kiln_memory::{KeyMap, TensorShapes};

/// Whether the tensors below `prefix` are those of a video autoencoder, by whichever names.
pub(crate) fn is_video_vae(names: &TensorShapes, prefix: &str) -> bool {
    names.has(&format!("{prefix}decoder.middle.0.residual.0.gamma")) || is_diffusers(names, prefix)
}

fn is_diffusers(names: &TensorShapes, prefix: &str) -> bool {
    names.has(&format!("{prefix}decoder.mid_block.resnets.0.norm1.gamma"))
}

/// Keys of a video autoencoder below `prefix`, under original or diffusers' names.
pub fn keys(names: &TensorShapes, prefix: &str) -> KeyMap {
    let map = KeyMap::under(names, prefix);
    if !is_diffusers(names, prefix) {
        return map;
    }
    let blocks = names.count(&format!("{prefix}decoder.up_blocks.0.resnets."));
    map.renamed(|key| Some(rename(key, blocks).unwrap_or_else(|| key.to_owned())))
}

/// Modules outside of the levels: diffusers' and here.
const OUTSIDE: [(&str, &str); 6] = [
    ("conv_in.", "conv1."),
    ("norm_out.", "head.0."),
    ("conv_out.", "head.2."),
    ("mid_block.resnets.0.", "middle.0."),
    ("mid_block.attentions.0.", "middle.1."),
    ("mid_block.resnets.1.", "middle.2."),
];

/// The original name of a diffusers name; `blocks` residual blocks stand in each level of the decoder.
fn rename(key: &str, blocks: usize) -> Option<String> {
    if let Some(rest) = key.strip_prefix("quant_conv.") {
        return Some(format!("conv1.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("post_quant_conv.") {
        return Some(format!("conv2.{rest}"));
    }
    let (half, rest) = key.split_once('.')?;
    if let Some((to, rest)) = OUTSIDE.iter().find_map(|(from, to)| Some((to, rest.strip_prefix(from)?))) {
        return Some(format!("{half}.{to}{}", residual(rest)));
    }
    if let Some(rest) = rest.strip_prefix("down_blocks.") {
        let (i, rest) = rest.split_once('.')?;
        return Some(format!("{half}.downsamples.{i}.{}", residual(rest)));
    }
    let (level, rest) = rest.strip_prefix("up_blocks.")?.split_once('.')?;
    let first = level.parse::<usize>().ok()? * (blocks + 1);
    if let Some(rest) = rest.strip_prefix("upsamplers.0.") {
        return Some(format!("{half}.upsamples.{}.{rest}", first + blocks));
    }
    let (i, rest) = rest.strip_prefix("resnets.")?.split_once('.')?;
    Some(format!("{half}.upsamples.{}.{}", first + i.parse::<usize>().ok()?, residual(rest)))
}

fn residual(rest: &str) -> String {
    const NAMES: [(&str, &str); 5] = [
        ("norm1.", "residual.0."),
        ("conv1.", "residual.2."),
        ("norm2.", "residual.3."),
        ("conv2.", "residual.6."),
        ("conv_shortcut.", "shortcut."),
    ];
    let renamed = NAMES.iter().find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)));
    renamed.unwrap_or_else(|| rest.to_owned())
}
