//! What files call a GLIGEN's tensors: its fusers by the UNet's blocks that they belong to.

use kiln_memory::{KeyMap, TensorShapes};

/// Blocks of a UNet, of which a file may have fusers.
const BLOCKS: [&str; 3] = ["input_blocks", "middle_block", "output_blocks"];
/// So many of each kind are looked at.
const MOST: usize = 20;

/// Keys below `fusers.N.` and `position_net.`, from files with the UNet's names, whatever stands before them. Of several
/// fusers of one block the last in the file stays.
pub(crate) fn canonical<'n>(names: &'n TensorShapes) -> KeyMap {
    let mut map = KeyMap::default();
    for (name, shape) in names.iter().filter(|(name, _)| name.starts_with("position_net.")) {
        map.whole(name, name, shape);
    }
    let fusers: Vec<_> = names.iter().filter(|(name, _)| name.contains(".fuser.")).collect();
    let mut number = 0;
    for block in BLOCKS.iter().flat_map(|kind| (0..MOST).map(move |n| format!("{kind}.{n}."))) {
        let found = |(name, shape): &(&'n str, &'n [usize])| Some((part(name, &block)?, *name, *shape));
        let own: Vec<_> = fusers.iter().filter_map(found).collect();
        for (part, name, shape) in &own {
            map.whole(format!("fusers.{number}.{part}"), *name, shape);
        }
        number += usize::from(!own.is_empty());
    }
    map
}

/// What a tensor of a block's fuser is called inside of it.
fn part<'n>(name: &'n str, block: &str) -> Option<&'n str> {
    let (before, part) = name.rsplit_once(".fuser.")?;
    let at = before.find(block)?;
    (at == 0 || before[..at].ends_with('.')).then_some(part)
}
