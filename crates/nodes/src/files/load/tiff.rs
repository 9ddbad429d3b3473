//! TIFF: every page, with the depths, colours and palettes that the `image` crate leaves out.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb, Rgba, metadata::Orientation};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::frame::{Frame, MAX_FRAME_BYTES, Read, Turn, check_room};

/// Reads a TIFF. Pages behind one that can't be read are left out.
///
/// # Errors
/// What the decoder says of the first page.
pub(super) fn read(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    pages(bytes, turn).or_else(|error| filled_up(bytes, turn).ok_or(error))
}

/// The first page of a file that was cut off, with nothing where its pixels end.
fn filled_up(bytes: &[u8], turn: Turn) -> Option<Read> {
    // Sides of which there is hardly a pixel are no image's.
    const MOST_MISSING: u64 = 64;
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let starts = decoder.get_tag_u64_vec(Tag::StripOffsets).ok()?;
    let lengths = decoder.get_tag_u64_vec(Tag::StripByteCounts).ok()?;
    let ends = starts.iter().zip(&lengths).map(|(start, length)| start.saturating_add(*length));
    let (needed, has) = (ends.max()?, bytes.len() as u64);
    if starts.iter().min().is_none_or(|start| *start >= has) || needed <= has || needed / MOST_MISSING > has {
        return None;
    }
    let mut longer = bytes.to_vec();
    // Of a line that was begun nothing is taken.
    if let Some(line) = line_bytes(&mut decoder)
        && let Some(start) = starts.iter().filter(|start| **start < has).max()
    {
        longer.truncate(usize::try_from(start + (has - start) / line * line).ok()?);
    }
    longer.resize(usize::try_from(needed).ok()?, 0);
    let Read { frames, .. } = pages(&longer, turn).ok()?;
    Some(Read { frames, damage: Some("the file ends before its image does".to_owned()) })
}

/// The bytes of a line that is not packed.
fn line_bytes(decoder: &mut Source<'_>) -> Option<u64> {
    let (width, _) = decoder.dimensions().ok()?;
    let kind = decoder.colortype().ok()?;
    let plain = decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten().is_none_or(|kind| kind == 1);
    let bits = u64::from(width) * u64::from(kind.bit_depth()) * u64::from(kind.num_samples());
    plain.then_some(bits.div_ceil(8)).filter(|line| *line > 0)
}

fn pages(bytes: &[u8], turn: Turn) -> Result<Read, String> {
    let bytes = without_palettes(bytes);
    let mut decoder = Decoder::new(Cursor::new(bytes.as_slice())).map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = usize::try_from(MAX_FRAME_BYTES).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    decoder = decoder.with_limits(limits);
    let mut frames = Vec::new();
    loop {
        match page(&mut decoder, frames.len(), turn) {
            Ok(image) => frames.push(Frame::from(&image)),
            Err(error) if frames.is_empty() => return Err(error),
            Err(damage) => return Ok(Read { frames, damage: Some(damage) }),
        }
        if !decoder.more_images() {
            return Ok(Read::whole(frames));
        }
        if let Err(error) = decoder.next_image() {
            return Ok(Read { frames, damage: Some(error.to_string()) });
        }
    }
}

type Source<'a> = Decoder<Cursor<&'a [u8]>>;

fn page(decoder: &mut Source<'_>, before: usize, turn: Turn) -> Result<DynamicImage, String> {
    let told = |error: tiff::TiffError| error.to_string();
    let (width, height) = decoder.dimensions().map_err(told)?;
    check_room(before + 1, width as usize, height as usize)?;
    let kind = decoder.colortype().map_err(told)?;
    let palette = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).ok().flatten();
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let orientation = orientation.filter(|_| turn == Turn::Upright);
    let (mut samples, channels) = samples(decoder, kind, (width, height))?;
    if let (Some(palette), Samples::Narrow(indices), ColorType::Gray(bits)) = (&palette, &samples, kind) {
        samples = Samples::Narrow(coloured(indices, palette, bits));
        return image([width, height], 3, samples).map(|image| upright(image, orientation));
    }
    if kind == ColorType::RGBA(8) && is_premultiplied(decoder) {
        unmultiply(&mut samples);
    }
    if let (ColorType::YCbCr(8), Samples::Narrow(values)) = (kind, &samples)
        && !is_jpeg(decoder)
    {
        samples = Samples::Narrow(values.as_chunks::<3>().0.iter().flat_map(|pixel| rgb_of_ycc(*pixel)).collect());
    }
    if let (ColorType::CMYK(8), Samples::Narrow(inks)) = (kind, &samples) {
        let inks = inks.as_chunks::<4>().0;
        samples = Samples::Narrow(inks.iter().flat_map(|ink| rgb_of_inks(*ink)).collect());
        return image([width, height], 3, samples).map(|image| upright(image, orientation));
    }
    image([width, height], channels, samples).map(|image| upright(image, orientation))
}

/// Samples of a page, interleaved.
enum Samples {
    Narrow(Vec<u8>),
    Wide(Vec<u16>),
}

fn samples(decoder: &mut Source<'_>, kind: ColorType, (width, height): (u32, u32)) -> Result<(Samples, usize), String> {
    let mut read = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut read).map_err(|error| error.to_string())?;
    let channels = usize::from(kind.num_samples());
    // One plane for each channel.
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten() == Some(2) && channels > 1;
    let odd = || format!("pixels of the kind {kind:?} are not supported");
    let samples = match read {
        DecodingResult::U8(values) => match kind.bit_depth() {
            8 => Samples::Narrow(values),
            bits @ (1 | 2 | 4) if channels == 1 => Samples::Narrow(unpacked(&values, bits, width as usize, height)),
            _ => return Err(odd()),
        },
        DecodingResult::U16(values) => Samples::Wide(values),
        // What PIL makes of them: whole numbers above 16 bits are divided by 255, floats are cut to a byte.
        DecodingResult::U32(values) => Samples::Narrow(values.iter().map(|v| (v / 255).min(255) as u8).collect()),
        DecodingResult::I32(values) => Samples::Narrow(values.iter().map(|v| (v / 255).clamp(0, 255) as u8).collect()),
        DecodingResult::I16(values) if channels == 1 => {
            Samples::Narrow(values.iter().map(|v| (v / 255).clamp(0, 255) as u8).collect())
        }
        DecodingResult::F32(values) if channels == 1 => {
            Samples::Narrow(values.iter().map(|v| v.clamp(0.0, 255.0) as u8).collect())
        }
        DecodingResult::F32(values) => {
            Samples::Wide(values.iter().map(|v| (v.clamp(0.0, 1.0) * 65535.0).round() as u16).collect())
        }
        _ => return Err(odd()),
    };
    let samples = match samples {
        Samples::Narrow(values) if planar => Samples::Narrow(interleaved(&values, channels)),
        Samples::Wide(values) if planar => Samples::Wide(interleaved(&values, channels)),
        samples => samples,
    };
    Ok((samples, channels))
}

fn image([width, height]: [u32; 2], channels: usize, samples: Samples) -> Result<DynamicImage, String> {
    let image = match (channels, samples) {
        (1, Samples::Narrow(v)) => ImageBuffer::<Luma<u8>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (2, Samples::Narrow(v)) => ImageBuffer::<LumaA<u8>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (3, Samples::Narrow(v)) => ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (4, Samples::Narrow(v)) => ImageBuffer::<Rgba<u8>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (1, Samples::Wide(v)) => ImageBuffer::<Luma<u16>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (2, Samples::Wide(v)) => ImageBuffer::<LumaA<u16>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (3, Samples::Wide(v)) => ImageBuffer::<Rgb<u16>, _>::from_raw(width, height, v).map(DynamicImage::from),
        (4, Samples::Wide(v)) => ImageBuffer::<Rgba<u16>, _>::from_raw(width, height, v).map(DynamicImage::from),
        _ => None,
    };
    image.ok_or_else(|| format!("{channels} samples a pixel are not supported, or some are missing"))
}

fn upright(mut image: DynamicImage, orientation: Option<u8>) -> DynamicImage {
    if let Some(orientation) = orientation.and_then(Orientation::from_exif) {
        image.apply_orientation(orientation);
    }
    image
}

/// Samples of 1, 2 or 4 bits as bytes: shades of grey from black to white. Rows begin at a byte.
fn unpacked(packed: &[u8], bits: u8, width: usize, height: u32) -> Vec<u8> {
    let per_byte = usize::from(8 / bits);
    let (mask, scale) = ((1u16 << bits) - 1, 255 / ((1u16 << bits) - 1));
    let row = |row: &[u8]| -> Vec<u8> {
        let sample = |x: usize| {
            let shift = 8 - usize::from(bits) * (x % per_byte + 1);
            let value = (u16::from(row.get(x / per_byte).copied().unwrap_or(0)) >> shift) & mask;
            (value * scale) as u8
        };
        (0..width).map(sample).collect()
    };
    packed.chunks(width.div_ceil(per_byte).max(1)).take(height as usize).flat_map(row).collect()
}

/// The colours of indices, which came as shades of grey.
fn coloured(shades: &[u8], palette: &[u16], bits: u8) -> Vec<u8> {
    let colours = palette.len() / 3;
    let scale = if bits < 8 { 255 / ((1usize << bits) - 1) } else { 1 };
    let colour = |shade: &u8| {
        let index = usize::from(*shade) / scale;
        [0, 1, 2].map(|c| palette.get(c * colours + index).map_or(0, |value| (value >> 8) as u8))
    };
    shades.iter().flat_map(colour).collect()
}

/// Whether the colours were multiplied by the opacity.
fn is_premultiplied(decoder: &mut Source<'_>) -> bool {
    decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten().is_some_and(|kinds| kinds == [1])
}

/// Whether the decoder of JPEG, which gives red, green and blue, was at work.
fn is_jpeg(decoder: &mut Source<'_>) -> bool {
    decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten().is_some_and(|kind| matches!(kind, 6 | 7))
}

fn unmultiply(samples: &mut Samples) {
    let Samples::Narrow(values) = samples else { return };
    for [colours @ .., opacity] in values.as_chunks_mut::<4>().0 {
        for colour in colours {
            *colour = match *opacity {
                0 => 0,
                opacity => (u32::from(*colour) * 255 / u32::from(opacity)).min(255) as u8,
            };
        }
    }
}

/// Red, green and blue in PIL's whole numbers of 1/64.
fn rgb_of_ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let part = |factor: f64, value: u8| (factor * f64::from(i32::from(value) - 128) * 64.0).round() as i32;
    let sum = |part: i32| (i32::from(y) + (part >> 6)).clamp(0, 255) as u8;
    [sum(part(1.402, cr)), sum(part(-0.344_14, cb) + part(-0.714_14, cr)), sum(part(1.772, cb))]
}

fn rgb_of_inks([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = |ink: u8| {
        let product = u32::from(255 - ink) * u32::from(255 - k);
        ((product + 127) / 255) as u8
    };
    [c, m, y].map(light)
}

fn interleaved<T: Copy>(planes: &[T], channels: usize) -> Vec<T> {
    let pixels = planes.len() / channels.max(1);
    (0..pixels).flat_map(|pixel| (0..channels).map(move |c| planes[c * pixels + pixel])).collect()
}

/// The file with its pages of indices declared to be of shades of grey: the decoder reads those, and the palette stays where
/// it is. Only in TIFF's classic form.
fn without_palettes(bytes: &[u8]) -> Vec<u8> {
    const PHOTOMETRIC: u16 = 262;
    const PALETTE: u16 = 3;
    const GREY: u16 = 1;
    const MOST_PAGES: usize = 10_000;
    let mut bytes = bytes.to_vec();
    let little = bytes.starts_with(b"II*\0");
    if !little && !bytes.starts_with(b"MM\0*") {
        return bytes;
    }
    let short = |bytes: &[u8], at: usize| {
        let pair = *bytes.get(at..)?.first_chunk::<2>()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let long = |bytes: &[u8], at: usize| {
        let four = *bytes.get(at..)?.first_chunk::<4>()?;
        Some(if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize)
    };
    let mut next = long(&bytes, 4);
    for _ in 0..MOST_PAGES {
        let Some(directory) = next.filter(|at| *at > 0) else { break };
        let Some(count) = short(&bytes, directory) else { break };
        for entry in 0..usize::from(count) {
            let at = directory + 2 + entry * 12;
            if short(&bytes, at) == Some(PHOTOMETRIC) && short(&bytes, at + 8) == Some(PALETTE) {
                let grey = if little { GREY.to_le_bytes() } else { GREY.to_be_bytes() };
                bytes[at + 8..at + 10].copy_from_slice(&grey);
            }
        }
        next = long(&bytes, directory + 2 + usize::from(count) * 12);
    }
    bytes
}
