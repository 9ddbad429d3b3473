//! Pictures and words as Qwen-Image-Edit's nodes give them to the text encoder and to the autoencoder.
//!
//! Source: ComfyUI `comfy_extras/nodes_qwen.py` (sizes and texts).

use crate::image::{Crop, ImageError, Method, Planes, common_upscale};
use crate::tokenizer::template::VISION_MARK;

/// Pixels of a picture that the network looks at.
pub const MEGAPIXEL: f64 = 1024.0 * 1024.0;
/// Pixels of a picture that the language model looks at, where there may be several.
pub const GLANCE: f64 = 384.0 * 384.0;

/// A picture of about `area` pixels in its own proportions, its sides multiples of `step`, by the mean over areas.
///
/// # Errors
/// [`ImageError`] when it would become too large.
pub fn edit_picture(image: &Planes, area: f64, step: usize) -> Result<Planes, ImageError> {
    let [_, _, height, width] = image.shape();
    let scale = (area / (width as f64 * height as f64)).sqrt();
    let side = |length: usize| {
        let steps = (length as f64 * scale / step as f64).round_ties_even() as usize;
        steps.max(1) * step
    };
    common_upscale(image, side(width), side(height), Method::Area, Crop::Disabled)
}

/// The prompt behind a mark for each picture, which are called by their numbers.
pub fn edit_prompt(numbers: &[usize], prompt: &str) -> String {
    let mark = |number: &usize| format!("Picture {number}: {VISION_MARK}");
    format!("{}{prompt}", numbers.iter().map(mark).collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn size(height: usize, width: usize, area: f64, step: usize) -> [usize; 2] {
        let image = Planes::new([1, 3, height, width], vec![0.5; 3 * height * width]).unwrap();
        let [_, _, height, width] = edit_picture(&image, area, step).unwrap().shape();
        [height, width]
    }

    #[test]
    fn pictures_keep_their_proportions_at_the_references_sizes() {
        // Those that ComfyUI 0.3.75's nodes give for the same pictures.
        assert_eq!(size(300, 200, MEGAPIXEL, 1), [1254, 836]);
        assert_eq!(size(300, 200, GLANCE, 1), [470, 314]);
        assert_eq!(size(300, 200, MEGAPIXEL, 8), [1256, 840]);
        assert_eq!(size(64, 512, GLANCE, 1), [136, 1086]);
        assert_eq!(size(97, 131, MEGAPIXEL, 8), [880, 1192]);
        assert_eq!(size(1, 1, GLANCE, 1), [384, 384]);
    }

    #[test]
    fn pictures_are_called_by_their_slots() {
        assert_eq!(edit_prompt(&[3], "x"), format!("Picture 3: {VISION_MARK}x"));
        assert_eq!(edit_prompt(&[], "x"), "x");
    }
}
