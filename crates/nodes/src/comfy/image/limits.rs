//! Limits that the nodes on images, masks and latents share.

/// Largest side of an image, in pixels.
pub(crate) const MAX_SIDE: usize = 16384;
