//! Which pack usually brings a node class: a table made from public facts. Knows names and nothing of what they mean.

use std::sync::LazyLock;

use crate::map::Map;

/// A pack per line, then its classes, two blanks in front of each.
const TABLE: &str = include_str!("packs.txt");
/// How the table calls the classes that no pack brings.
pub(super) const CORE: &str = "ComfyUI";

static PACKS: LazyLock<Map<&str, &str>> = LazyLock::new(|| {
    let mut pack = "";
    let entry = |line: &'static str| {
        let class = line.strip_prefix("  ");
        if class.is_none() {
            pack = line;
        }
        Some((class?, pack))
    };
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(entry).collect()
});

/// The pack that brings a class, as its owner and name; [`CORE`] for ComfyUI's own.
pub(super) fn pack_of(class: &str) -> Option<&'static str> {
    PACKS.get(class).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_stands_once_under_a_pack_with_its_owner() {
        let classes = TABLE.lines().filter(|line| line.starts_with("  "));
        assert_eq!(classes.count(), PACKS.len(), "no class stands twice");
        for (class, pack) in PACKS.iter() {
            assert!(
                *pack == CORE || pack.split_once('/').is_some_and(|(_, name)| !name.contains('/')),
                "{class}: {pack}"
            );
            assert_eq!(class.trim_start(), *class);
        }
    }

    #[test]
    fn the_classes_that_most_shared_workflows_use_are_known() {
        for (class, pack) in [
            ("ShowText|pysssss", "pythongosssss/ComfyUI-Custom-Scripts"),
            ("UltimateSDUpscale", "ssitu/ComfyUI_UltimateSDUpscale"),
            ("FaceDetailer", "ltdrdata/ComfyUI-Impact-Pack"),
            ("SetNode", "kijai/ComfyUI-KJNodes"),
            ("Power Lora Loader (rgthree)", "rgthree/rgthree-comfy"),
            ("KSampler", CORE),
        ] {
            assert_eq!(pack_of(class), Some(pack));
        }
        assert_eq!(pack_of("NobodysClass"), None);
    }
}
