//! What a latent roughly looks like, without an autoencoder: a linear map from channels to colours.

use super::planes::Planes;
use crate::latent::LatentFormat;

/// The first latent as 8-bit RGB pixels, row by row, one per cell. Latents of other than four channels give `None`.
///
/// The latent is in model space, as the step callback's `denoised` is.
pub fn linear_preview(latent: &Planes, format: &LatentFormat) -> Option<Vec<u8>> {
    let [_, channels, h, w] = latent.shape();
    if channels != format.rgb.len() {
        return None;
    }
    let values = latent.values();
    let cells = (0..h * w).map(|i| std::array::from_fn(|channel| values[channel * h * w + i]));
    Some(cells.flat_map(|cell| format.preview(cell).map(|colour| (colour * 255.0) as u8)).collect())
}
