//! What files call a T2I-Adapter's tensors.

use kiln_memory::{KeyMap, TensorShapes};

/// Keys in TencentARC's names, from original files (with or without `adapter.`) or diffusers' ones.
pub(crate) fn canonical(names: &TensorShapes) -> KeyMap {
    const PREFIX: &str = "adapter.";
    let prefix = if names.any("adapter.body.0.") { PREFIX } else { "" };
    let map = KeyMap::under(names, prefix);
    let keys = map.names();
    if !keys.any("body.0.resnets.0.") {
        return map;
    }
    let light = keys.has("body.0.out_conv.weight");
    map.renamed(|key| Some(renamed(key, light)))
}

/// diffusers has a list of blocks per level; the full kind counts them through, two per level.
fn renamed(key: &str, light: bool) -> String {
    let Some((level, rest)) = key.strip_prefix("body.").and_then(|rest| rest.split_once('.')) else {
        return key.to_owned();
    };
    let Ok(number) = level.parse::<usize>() else { return key.to_owned() };
    match rest.strip_prefix("resnets.").and_then(|rest| rest.split_once('.')) {
        Some((block, rest)) if light => format!("body.{level}.body.{block}.{rest}"),
        Some((block, rest)) => format!("body.{}.{rest}", number * 2 + block.parse::<usize>().unwrap_or(0)),
        None if light => key.to_owned(),
        None => format!("body.{}.{rest}", number * 2),
    }
}

#[cfg(test)]
mod tests {
    use super::renamed;

    #[test]
    fn blocks_of_levels_are_counted_through_but_in_the_light_kind() {
        assert_eq!(renamed("body.1.resnets.1.block2.weight", false), "body.3.block2.weight");
        assert_eq!(renamed("body.2.in_conv.bias", false), "body.4.in_conv.bias");
        assert_eq!(renamed("body.1.resnets.3.block1.weight", true), "body.1.body.3.block1.weight");
        assert_eq!(renamed("body.1.in_conv.weight", true), "body.1.in_conv.weight");
        assert_eq!(renamed("conv_in.weight", false), "conv_in.weight");
    }
}
