//! What files call an autoencoder's tensors, in original (LDM) names.

use kiln_memory::{KeyMap, Slice, TensorRef, TensorShapes};

/// Whether the tensors below `prefix` have diffusers' names.
pub(crate) fn is_diffusers(names: &TensorShapes, prefix: &str) -> bool {
    names.has(&format!("{prefix}decoder.up_blocks.0.resnets.0.norm1.weight"))
}

/// Keys of an autoencoder under original names below `prefix`. Some files put the two 1x1 convolutions beside the
/// latent under `encoder.` and `decoder.`; here they are outside of both.
pub fn original(names: &TensorShapes, prefix: &str) -> KeyMap {
    const MOVED: [(&str, &str); 2] =
        [("encoder.quant_conv.", "quant_conv."), ("decoder.post_quant_conv.", "post_quant_conv.")];
    KeyMap::under(names, prefix).renamed(|key| {
        let moved = MOVED.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?)));
        Some(moved.unwrap_or_else(|| key.to_owned()))
    })
}

/// Keys of an autoencoder under diffusers' names below `prefix`.
pub fn diffusers(names: &TensorShapes, prefix: &str) -> KeyMap {
    let levels = names.count(&format!("{prefix}decoder.up_blocks."));
    let mut map = KeyMap::default();
    for (name, shape) in names.iter() {
        let Some(key) = name.strip_prefix(prefix) else { continue };
        let renamed = rename(key, levels).unwrap_or_else(|| key.to_owned());
        let matrix = renamed.contains(".attn_") && renamed.ends_with(".weight");
        match *shape {
            [rows, columns] if matrix => {
                let shape = vec![rows, columns, 1, 1];
                map.insert(renamed, TensorRef { tensor: name.into(), part: Slice::Reshaped, shape });
            }
            _ => map.whole(renamed, name, shape),
        }
    }
    map
}

fn rename(key: &str, levels: usize) -> Option<String> {
    let (side, rest) = key.split_once('.')?;
    let end = |rest: &str| rest.replace("conv_shortcut.", "nin_shortcut.");
    if let Some(rest) = rest.strip_prefix("conv_norm_out.") {
        return Some(format!("{side}.norm_out.{rest}"));
    }
    if let Some(rest) = rest.strip_prefix("mid_block.resnets.") {
        let (n, rest) = rest.split_once('.')?;
        return Some(format!("{side}.mid.block_{}.{}", n.parse::<usize>().ok()? + 1, end(rest)));
    }
    if let Some(rest) = rest.strip_prefix("mid_block.attentions.") {
        let (n, rest) = rest.split_once('.')?;
        return Some(format!("{side}.mid.attn_{}.{}", n.parse::<usize>().ok()? + 1, attention(rest)?));
    }
    let (way, rest) = match rest.strip_prefix("down_blocks.") {
        Some(rest) => ("down", rest),
        None => ("up", rest.strip_prefix("up_blocks.")?),
    };
    let (level, rest) = rest.split_once('.')?;
    let level = level.parse::<usize>().ok()?;
    let level = if way == "up" { levels.checked_sub(level + 1)? } else { level };
    if let Some(rest) = rest.strip_prefix("resnets.") {
        return Some(format!("{side}.{way}.{level}.block.{}", end(rest)));
    }
    let rest = rest.strip_prefix("downsamplers.0.").or_else(|| rest.strip_prefix("upsamplers.0."))?;
    Some(format!("{side}.{way}.{level}.{way}sample.{rest}"))
}

fn attention(rest: &str) -> Option<String> {
    const NAMES: [(&str, &str); 9] = [
        ("group_norm.", "norm."),
        ("to_q.", "q."),
        ("query.", "q."),
        ("to_k.", "k."),
        ("key.", "k."),
        ("to_v.", "v."),
        ("value.", "v."),
        ("to_out.0.", "proj_out."),
        ("proj_attn.", "proj_out."),
    ];
    NAMES.iter().find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)))
}
