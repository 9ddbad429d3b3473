//! What a latent roughly looks like, without an autoencoder: a linear map from channels to colours.

use super::planes::Planes;
use crate::latent::LatentFormat;

/// The first latent as 8-bit RGB pixels, row by row, one per cell, or several where a cell is packed of several. Of latents
/// with frames, folded into the channels, the first frame. Latents of other channels than the format's give `None`.
///
/// The latent is in model space, as the step callback's `denoised` is.
pub fn linear_preview(latent: &Planes, format: &LatentFormat) -> Option<Vec<u8>> {
    let [_, channels, h, w] = latent.shape();
    let (own, packed) = (format.channels(), format.packed);
    if channels == 0 || !channels.is_multiple_of(own) {
        return None;
    }
    let (frames, values) = (channels / own, latent.values());
    let value = |y: usize, x: usize, colour: usize| {
        let channel = (colour * packed + y % packed) * packed + x % packed;
        values[(channel * frames * h + y / packed) * w + x / packed]
    };
    let cell = |i: usize| {
        let (y, x) = (i / (w * packed), i % (w * packed));
        format.preview((0..format.rgb.len()).map(move |colour| value(y, x, colour)))
    };
    let cells = (0..h * w * packed * packed).map(cell);
    Some(cells.flat_map(|rgb| rgb.map(|colour| (colour * 255.0) as u8)).collect())
}
