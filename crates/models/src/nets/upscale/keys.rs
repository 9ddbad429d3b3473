//! What files call an upscaler's tensors: Real-ESRGAN's names, ESRGAN's old ones, and prefixes of training frameworks.

use kiln_memory::{KeyMap, TensorShapes};

/// Keys in Real-ESRGAN's names.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    let prefix =
        ["params_ema.", "params.", "module.", "netG.", ""].into_iter().find(|prefix| names.any(prefix)).unwrap_or("");
    let map = KeyMap::under(names, prefix);
    let inner = map.names();
    if inner.has("model.0.weight") && inner.any("model.1.sub.") {
        let outer = Outer::of(&inner);
        return map.renamed(|key| Some(outer.rename(key).unwrap_or_else(|| key.to_owned())));
    }
    map
}

/// The numbers that an old file gives its convolutions outside of the blocks.
struct Outer {
    /// Number of `conv_body` among `model.1.sub`.
    body: usize,
    /// Numbers after `model.`, ascending: doublings, then `conv_hr`, then `conv_last`.
    after: Vec<usize>,
}

impl Outer {
    fn of(names: &TensorShapes) -> Self {
        let number = |(name, _): (&str, &[usize])| name.strip_prefix("model.")?.strip_suffix(".weight")?.parse().ok();
        let mut after: Vec<usize> = names.iter().filter_map(number).filter(|n| *n > 1).collect();
        after.sort_unstable();
        Self { body: names.count("model.1.sub.").saturating_sub(1), after }
    }

    fn rename(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix("model.")?;
        if let Some(rest) = rest.strip_prefix("1.sub.") {
            let (n, rest) = rest.split_once('.')?;
            if n.parse() == Ok(self.body) {
                return Some(format!("conv_body.{rest}"));
            }
            // RDB1.conv1.0.weight
            let (block, rest) = rest.split_once('.')?;
            let (conv, end) = rest.split_once('.')?;
            return Some(format!("body.{n}.{}.{conv}.{}", block.to_lowercase(), end.strip_prefix("0.").unwrap_or(end)));
        }
        let (n, end) = rest.split_once('.')?;
        let n: usize = n.parse().ok()?;
        if n == 0 {
            return Some(format!("conv_first.{end}"));
        }
        let (at, count) = (self.after.iter().position(|other| *other == n)?, self.after.len());
        Some(match count - at {
            1 => format!("conv_last.{end}"),
            2 => format!("conv_hr.{end}"),
            _ => format!("conv_up{}.{end}", at + 1),
        })
    }
}
