//! Which models give way, in ComfyUI's order, for whoever moves whole models. Knows sizes and counts; moves nothing.
//!
//! Kiln's pager moves weights one by one and needs none of this; it is what `load_models_gpu` and `free_memory` decide,
//! so that a host built on their meaning can be served.

use std::cmp::Reverse;

/// A model on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// All its bytes.
    pub size: u64,
    /// Those of them that are not on the device.
    pub offloaded: u64,
    /// How many hold it.
    pub references: u32,
    /// Whether it is among those that are needed now; these are kept.
    pub needed: bool,
}

impl Loaded {
    /// What it would free.
    pub fn on_device(&self) -> u64 {
        self.size.saturating_sub(self.offloaded)
    }
}

/// The models in the order in which they give way: those that are off the device for the most part first, then those
/// with the fewest references, then the smallest. Those that are needed are not among them.
pub fn unload_order(models: &[Loaded]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..models.len()).filter(|i| !models[*i].needed).collect();
    order.sort_by_key(|i| (Reverse(models[*i].offloaded), models[*i].references, models[*i].size));
    order
}

/// Who goes so that `needed` bytes are free on a device that has `free`, and how many bytes of each: the last one only
/// as far as it must. Without smart memory everyone goes.
///
/// ```
/// use kiln_memory::{Loaded, to_unload};
/// let clip = Loaded { size: 4, offloaded: 0, references: 1, needed: false };
/// let unet = Loaded { size: 9, offloaded: 0, references: 2, needed: false };
/// assert_eq!(to_unload(&[unet, clip], 7, 1, true), [(1, 4), (0, 2)]);
/// assert_eq!(to_unload(&[unet, clip], 1, 1, true), []);
/// assert_eq!(to_unload(&[unet, clip], 1, 1, false), [(1, 4), (0, 9)]);
/// ```
pub fn to_unload(models: &[Loaded], needed: u64, free: u64, smart: bool) -> Vec<(usize, u64)> {
    let mut short = if smart { needed.saturating_sub(free) } else { u64::MAX };
    let mut going = Vec::new();
    for i in unload_order(models) {
        let bytes = models[i].on_device().min(short);
        if bytes > 0 {
            going.push((i, bytes));
            short -= bytes;
        }
    }
    going
}
