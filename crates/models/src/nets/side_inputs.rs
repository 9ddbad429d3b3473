//! What a network is told beside latent, level and prompt: the numbers and images it was trained with.
//!
//! Knows kinds. How each becomes a vector or channels belongs to [`sampling`](crate::sampling).

/// What a network takes beside latent, level and prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SideInputs {
    /// Pooled prompt and sizes where it takes a vector; a mask and an image, or an image alone, where it takes channels.
    #[default]
    Usual,
    /// As usual, but its image is scaled as the latent is (CosXL edit).
    ScaledImage,
    /// Images by their CLIP embeddings, with noise (unCLIP).
    Embeddings,
    /// Frames per second, motion and the noise in its image (SVD).
    Motion,
    /// The noise in its image (SV3D without a camera).
    Orbit,
    /// That, and where the camera stands in each frame (SV3D).
    Cameras,
    /// A small image in pixels and the noise in it (Stable Diffusion's x4 upscaler).
    LowRes,
    /// Which of two things to draw (Lotus).
    Task,
    /// The pooled prompt as it is, zeros without one; where it takes channels, an image scaled as the latent is and then a
    /// mask, 64 channels for each cell's pixels (Flux).
    Pooled,
}
