//! Images in few colours, as Pillow makes them: a palette by median cut, then each pixel's nearest colour of it, dithered or
//! not.

mod dither;
mod heap;
mod median_cut;
mod nearest;

use super::error::ImageError;
use super::pillow::Pixels;

pub use dither::Dither;

/// The image in at most `colours` colours, 1 to 256. Of more than three channels the first three are used.
///
/// # Errors
/// [`ImageError::Colours`] for another number of colours.
pub fn quantized(image: &Pixels, colours: usize, dither: Dither) -> Result<Pixels, ImageError> {
    if !(1..=256).contains(&colours) {
        return Err(ImageError::Colours { colours });
    }
    let [height, width, channels] = image.dims();
    let colour = |p: &[u8]| std::array::from_fn(|i| p[i.min(channels - 1)]);
    let mut pixels: Vec<[u8; 3]> = image.bytes().chunks_exact(channels).map(colour).collect();
    let palette = median_cut::palette(&pixels, colours);
    dither::reduce(&mut pixels, width, palette, dither);
    Pixels::new([height, width, 3], pixels.into_flattened())
}
