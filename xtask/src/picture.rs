//! Are two picture files the same picture?

use std::path::Path;

/// Peak signal-to-noise ratio of two 8-bit pictures in dB, `10 log10(255² / mean squared error)`;
/// infinite where they are equal.
///
/// # Errors
/// A file that does not decode, or pictures of different size.
pub fn psnr(a: &Path, b: &Path) -> Result<f64, String> {
    let (a, b) = (open(a)?, open(b)?);
    if a.dimensions() != b.dimensions() {
        return Err(format!("sizes differ: {:?} and {:?}", a.dimensions(), b.dimensions()));
    }
    let squares: f64 = a.as_raw().iter().zip(b.as_raw()).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
    Ok(10.0 * (255.0 * 255.0 / (squares / a.as_raw().len() as f64)).log10())
}

fn open(path: &Path) -> Result<image::RgbImage, String> {
    image::open(path).map(|picture| picture.to_rgb8()).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_picture_equals_itself_and_one_changed_pixel_shows() {
        let apple = crate::workspace::root().join("tests/data/apple.png");
        assert!(psnr(&apple, &apple).unwrap().is_infinite());

        let mut changed = open(&apple).unwrap();
        changed.get_pixel_mut(3, 4).0[0] ^= 0x80;
        let file = std::env::temp_dir().join(format!("kiln-xtask-{}.png", std::process::id()));
        changed.save(&file).unwrap();
        let apart = psnr(&apple, &file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(apart > 40.0 && apart < 60.0, "{apart} dB");
    }
}
