//! What files call a UNet's tensors, in original (LDM) names.

use kiln_memory::{KeyMap, TensorShapes};

/// Whether the tensors below `prefix` have diffusers' names.
pub(crate) fn is_diffusers(names: &TensorShapes, prefix: &str) -> bool {
    names.has(&format!("{prefix}conv_in.weight")) && names.any(&format!("{prefix}down_blocks."))
}

/// Keys of a UNet under original names below `prefix`.
pub fn original(names: &TensorShapes, prefix: &str) -> KeyMap {
    KeyMap::under(names, prefix)
}

/// Keys of a UNet under diffusers' names below `prefix`.
pub fn diffusers(names: &TensorShapes, prefix: &str) -> KeyMap {
    let layout = Layout::of(names, prefix);
    KeyMap::under(names, prefix).renamed(|key| Some(layout.rename(key).unwrap_or_else(|| key.to_owned())))
}

/// How many blocks each level has: diffusers counts within levels, the original names count through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// Residual blocks per level of the way down.
    down: Vec<usize>,
    /// Residual blocks per level of the way up, and whether the level has transformers.
    up: Vec<(usize, bool)>,
}

impl Layout {
    pub(crate) fn of(names: &TensorShapes, prefix: &str) -> Self {
        let (down, up) = (format!("{prefix}down_blocks."), format!("{prefix}up_blocks."));
        let resnets = |at: &str, l: usize| names.count(&format!("{at}{l}.resnets."));
        Self {
            down: (0..names.count(&down)).map(|l| resnets(&down, l)).collect(),
            up: (0..names.count(&up)).map(|l| (resnets(&up, l), names.any(&format!("{up}{l}.attentions.")))).collect(),
        }
    }

    /// The layout of a model known by its configuration.
    pub(crate) fn of_config(config: &super::config::UNetConfig) -> Self {
        let mut depths = config.depth_output.iter().rev();
        let up = config.res_blocks.iter().rev().map(|blocks| {
            let depths: Vec<usize> = depths.by_ref().take(blocks + 1).copied().collect();
            (blocks + 1, depths.iter().any(|depth| *depth > 0))
        });
        Self { up: up.collect(), down: config.res_blocks.clone() }
    }

    fn input_block(&self, level: usize) -> usize {
        1 + self.down.iter().take(level).map(|blocks| blocks + 1).sum::<usize>()
    }

    fn output_block(&self, level: usize) -> usize {
        self.up.iter().take(level).map(|(blocks, _)| blocks).sum()
    }

    /// The original name of a diffusers name, both without prefix.
    pub(crate) fn rename(&self, key: &str) -> Option<String> {
        const OUTSIDE: [(&str, &str); 9] = [
            ("conv_in.", "input_blocks.0.0."),
            ("conv_norm_out.", "out.0."),
            ("conv_out.", "out.2."),
            ("time_embedding.linear_1.", "time_embed.0."),
            ("time_embedding.linear_2.", "time_embed.2."),
            ("add_embedding.linear_1.", "label_emb.0.0."),
            ("add_embedding.linear_2.", "label_emb.0.2."),
            ("class_embedding.linear_1.", "label_emb.0.0."),
            ("class_embedding.linear_2.", "label_emb.0.2."),
        ];
        if let Some(name) = OUTSIDE.iter().find_map(|(from, to)| Some(format!("{to}{}", key.strip_prefix(from)?))) {
            return Some(name);
        }
        if let Some(rest) = key.strip_prefix("mid_block.") {
            let (kind, n, rest) = indexed(rest)?;
            return match kind {
                "resnets" => Some(format!("middle_block.{}.{}", n * 2, residual(rest))),
                "attentions" => Some(format!("middle_block.1.{rest}")),
                _ => None,
            };
        }
        let (way, level, rest) = indexed(key)?;
        let (kind, i, rest) = indexed(rest)?;
        match (way, kind) {
            ("down_blocks", "resnets") => {
                Some(format!("input_blocks.{}.0.{}", self.input_block(level) + i, residual(rest)))
            }
            ("down_blocks", "attentions") => Some(format!("input_blocks.{}.1.{rest}", self.input_block(level) + i)),
            ("down_blocks", "downsamplers") => {
                let n = self.input_block(level) + self.down.get(level)?;
                Some(format!("input_blocks.{n}.0.op.{}", rest.strip_prefix("conv.")?))
            }
            ("up_blocks", "resnets") => {
                Some(format!("output_blocks.{}.0.{}", self.output_block(level) + i, residual(rest)))
            }
            ("up_blocks", "attentions") => Some(format!("output_blocks.{}.1.{rest}", self.output_block(level) + i)),
            ("up_blocks", "upsamplers") => {
                let (blocks, attention) = self.up.get(level)?;
                let n = (self.output_block(level) + blocks).checked_sub(1)?;
                Some(format!("output_blocks.{n}.{}.{rest}", if *attention { 2 } else { 1 }))
            }
            _ => None,
        }
    }
}

/// `kind.3.rest` in its three parts.
fn indexed(name: &str) -> Option<(&str, usize, &str)> {
    let (kind, rest) = name.split_once('.')?;
    let (index, rest) = rest.split_once('.')?;
    Some((kind, index.parse().ok()?, rest))
}

fn residual(rest: &str) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("norm1.", "in_layers.0."),
        ("conv1.", "in_layers.2."),
        ("time_emb_proj.", "emb_layers.1."),
        ("norm2.", "out_layers.0."),
        ("conv2.", "out_layers.3."),
        ("conv_shortcut.", "skip_connection."),
    ];
    let renamed = NAMES.iter().find_map(|(from, to)| Some(format!("{to}{}", rest.strip_prefix(from)?)));
    renamed.unwrap_or_else(|| rest.to_owned())
}
