//! Animated GIF.
//!
//! An image of few colours keeps them. Of more, its colours are chosen by Pillow's median cut, as Pillow does where it saves
//! images as GIF. The format holds no texts.

use std::io::{Error, Write};

use gif::{DisposalMethod, Encoder, Frame, Repeat};
use indexmap::IndexSet;
use kiln_models::image::{Dither, Pixels, quantized};

use super::sequence::{Animation, NextImage};
use crate::files::png::Colour;

/// The most colours of an image, one of which may be none.
const MOST: usize = 256;
/// Opacity from which a pixel is seen.
const SEEN: u8 = 128;

/// Writes a GIF file, animated if there is more than one image, times in hundredths of a second. Holds one image at a time.
///
/// # Errors
/// Sides of more than 65535 pixels; what `out` and `next` report; images of another size.
pub fn write_gif(animation: &Animation, next: &mut NextImage<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let (width, height) = (side(animation.width)?, side(animation.height)?);
    let mut encoder = Encoder::new(out, width, height, &[]).map_err(Error::other)?;
    if animation.count > 1 {
        let repeat = if animation.loops == 0 { Repeat::Infinite } else { Repeat::Finite(animation.loops_u16()) };
        encoder.set_repeat(repeat).map_err(Error::other)?;
    }
    let delay = u16::try_from(animation.milliseconds / 10).unwrap_or(u16::MAX);
    for i in 0..animation.count {
        let Indexed { colours, indices } = Indexed::new(animation, next(i)?)?;
        let frame = Frame {
            delay,
            dispose: DisposalMethod::Background,
            transparent: colours.get_index_of(&None).and_then(|index| u8::try_from(index).ok()),
            width,
            height,
            palette: Some(colours.into_iter().flat_map(Option::unwrap_or_default).collect()),
            buffer: indices.into(),
            ..Frame::default()
        };
        encoder.write_frame(&frame).map_err(Error::other)?;
    }
    Ok(())
}

fn side(pixels: u32) -> std::io::Result<u16> {
    let most = u16::MAX;
    u16::try_from(pixels)
        .map_err(|_| Error::other(format!("{pixels} pixels are too many for GIF; a side has at most {most}")))
}

/// An image as places in a list of colours; `None` is no colour.
struct Indexed {
    colours: IndexSet<Option<[u8; 3]>>,
    indices: Vec<u8>,
}

impl Indexed {
    /// # Errors
    /// When the bytes are not as many as the image's pixels have.
    fn new(animation: &Animation, pixels: Vec<u8>) -> std::io::Result<Self> {
        let channels = animation.colour.channels();
        let image = Pixels::new([animation.height as usize, animation.width as usize, channels], pixels);
        let image = image.map_err(Error::other)?;
        let is_clear = |pixel: &[u8]| animation.colour == Colour::Rgba && pixel.last().is_some_and(|a| *a < SEEN);
        let colour = |pixel: &[u8]| (!is_clear(pixel)).then(|| std::array::from_fn(|i| pixel[i.min(channels - 1)]));
        let seen: Vec<Option<[u8; 3]>> = image.bytes().chunks_exact(channels).map(colour).collect();
        if let Some(exact) = Self::exact(&seen) {
            return Ok(exact);
        }
        let most = MOST - usize::from(seen.contains(&None));
        let reduced = quantized(&image, most, Dither::None).map_err(Error::other)?;
        let reduced = reduced.bytes().as_chunks::<3>().0.iter().zip(seen).map(|(colour, seen)| seen.and(Some(*colour)));
        Self::exact(&reduced.collect::<Vec<_>>()).ok_or_else(|| Error::other("an image has too many colours for GIF"))
    }

    /// `None` for more colours than the format has.
    fn exact(pixels: &[Option<[u8; 3]>]) -> Option<Self> {
        let mut colours = IndexSet::new();
        let mut indices = Vec::with_capacity(pixels.len());
        for pixel in pixels {
            indices.push(u8::try_from(colours.insert_full(*pixel).0).ok()?);
        }
        Some(Self { colours, indices })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln_models::image::{Dither, Pixels, quantized};

    use super::write_gif;
    use crate::files::animation::sequence::Animation;
    use crate::files::load_image_bytes;
    use crate::files::png::Colour;

    /// The images of a file of these, as bytes, and where they are clear.
    fn back(side: u32, colour: Colour, images: &[Vec<u8>]) -> (Vec<u8>, Option<Vec<f32>>) {
        let count = images.len() as u32;
        let (width, height, texts) = (side, side, indexmap::IndexMap::new());
        let animation = Animation { width, height, colour, count, milliseconds: 50, loops: 0, texts };
        let mut file = Vec::new();
        write_gif(&animation, &mut |i| Ok(images[i as usize].clone()), &mut file).unwrap();
        let found = load_image_bytes(&file).unwrap();
        assert_eq!((found.count, found.width), (images.len(), side as usize));
        (found.rgb.iter().map(|v| (v * 255.0).round() as u8).collect(), found.mask)
    }

    #[test]
    fn few_colours_stay_and_many_become_those_of_median_cut() {
        let few: Vec<u8> = (0..16 * 16 * 3).map(|i| (i / 3 % 16 * 17) as u8).collect();
        let many: Vec<u8> = (0..16 * 16 * 3).map(|i| (i * 89 % 256) as u8).collect();
        let many = [many.clone(), few.clone(), many.iter().map(|v| v / 3).collect(), many].concat();
        let few = [&few[..], &few, &few, &few].concat();
        let reduced = quantized(&Pixels::new([32, 32, 3], many.clone()).unwrap(), 256, Dither::None).unwrap();
        let (found, mask) = back(32, Colour::Rgb, &[few.clone(), many]);
        assert!(mask.is_none());
        assert_eq!(found, [&few[..], reduced.bytes()].concat());
    }

    #[test]
    fn clear_pixels_stay_clear_and_take_no_colour_from_the_others() {
        let pixels: Vec<u8> = (0..255).flat_map(|i| [i, 0, 255 - i, 255]).chain([9, 9, 9, 127]).collect();
        let (found, mask) = back(16, Colour::Rgba, &[pixels.clone(), pixels.clone()]);
        let right: Vec<u8> = pixels.as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
        assert_eq!(found[..255 * 3], right[..255 * 3]);
        let mask = mask.unwrap();
        assert!(mask[..255].iter().all(|v| *v == 0.0) && mask[255] == 1.0);
    }

    #[test]
    fn a_size_that_the_format_does_not_have_is_refused() {
        let (width, height, texts) = (65536, 1, indexmap::IndexMap::new());
        let animation = Animation { width, height, colour: Colour::Grey, count: 1, milliseconds: 50, loops: 0, texts };
        let error = write_gif(&animation, &mut |_| Ok(vec![0; 65536]), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("65536 pixels") && error.contains("at most 65535"), "{error}");
        let animation = Animation { width: 2, ..animation };
        write_gif(&animation, &mut |_| Ok(vec![0; 3]), &mut Vec::new()).unwrap_err();
    }
}
