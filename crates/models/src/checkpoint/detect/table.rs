//! The table of the families that Kiln brings along: a row each, from the folder of its network.

use crate::nets::family::{Families, Family};

/// The families that Kiln knows, in the order in which a file is asked for them. An embedder adds its own by
/// [`Families::with`].
pub fn families() -> Families {
    let transformers =
        [Family::FLUX_SCHNELL, Family::FLUX, Family::FLUX2, Family::Z_IMAGE, Family::SD3, Family::QWEN_IMAGE];
    Families::new(Family::STABLE_DIFFUSION.into_iter().chain(transformers))
}
