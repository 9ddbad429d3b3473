//! Limits that the nodes on pictures, masks and latents share.

/// Largest side of a picture, in pixels.
pub(crate) const MAX_SIDE: usize = 16384;
