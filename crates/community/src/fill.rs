//! Borders around images: what KJNodes puts around an image that does not fill its frame.
//!
//! Knows values in rows. Knows no node.

use kiln_exec::NodeError;
use kiln_models::image::{Crop, Method, Planes, common_upscale};
use kiln_nodes::payload::{Image, Mask};

/// How much is added on each side, in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Border {
    pub(crate) left: usize,
    pub(crate) right: usize,
    pub(crate) top: usize,
    pub(crate) bottom: usize,
}

/// What a border is filled with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fill {
    /// One colour, a value for each channel.
    Colour(Vec<f32>),
    /// The mean of the edge that it lies at; corners take that of the left or right edge.
    Edge,
    /// The nearest pixel.
    EdgePixel,
    /// The image itself, enlarged to fill the frame, blurred and darkened.
    Blur,
}

impl Border {
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// `image` with a border, and the mask of that: `mask` continued by its own edge (by 1 around a blurred border); without
/// one 0 where the image is and 1 around it.
///
/// # Errors
/// A colour of another number of channels, masks that do not fit the images, a device that fails.
pub(crate) fn bordered(
    image: &Image,
    mask: Option<&Mask>,
    border: Border,
    fill: &Fill,
) -> Result<(Image, Mask), NodeError> {
    let [batch, height, width, channels] = image.dims();
    let (tall, wide) = (height + border.top + border.bottom, width + border.left + border.right);
    let source = image.values()?;
    let mut values = match fill {
        Fill::Blur => blurred(&source, [batch, height, width, channels], [tall, wide])?,
        _ => vec![0.0; batch * tall * wide * channels],
    };
    if let Fill::Colour(colour) = fill
        && colour.len() != channels
    {
        let found = colour.len();
        return Err(NodeError::new(format!("`pad_color` has {found} values, but the images have {channels} channels")));
    }
    for (item, canvas) in
        source.chunks_exact(height * width * channels).zip(values.chunks_exact_mut(tall * wide * channels))
    {
        let edges = Edges::of(item, [height, width, channels]);
        for (i, pixel) in canvas.chunks_exact_mut(channels).enumerate() {
            let (y, x) = (i / wide, i % wide);
            let (inner_y, inner_x) = (y.checked_sub(border.top), x.checked_sub(border.left));
            let (inner_y, inner_x) = (inner_y.filter(|y| *y < height), inner_x.filter(|x| *x < width));
            let at = |y: usize, x: usize| &item[(y * width + x) * channels..][..channels];
            match (inner_y, inner_x, fill) {
                (Some(y), Some(x), _) => pixel.copy_from_slice(at(y, x)),
                (_, _, Fill::Blur) => {}
                (_, _, Fill::Colour(colour)) => pixel.copy_from_slice(colour),
                (_, _, Fill::EdgePixel) => {
                    let near = |n: usize, before: usize, count: usize| n.saturating_sub(before).min(count - 1);
                    pixel.copy_from_slice(at(near(y, border.top, height), near(x, border.left, width)));
                }
                (_, None, Fill::Edge) if x < border.left => pixel.copy_from_slice(&edges.left),
                (_, None, Fill::Edge) => pixel.copy_from_slice(&edges.right),
                (_, _, Fill::Edge) if y < border.top => pixel.copy_from_slice(&edges.top),
                (_, _, Fill::Edge) => pixel.copy_from_slice(&edges.bottom),
            }
        }
    }
    let device = image.pixels().device();
    let mask = bordered_mask(mask, [batch, height, width], border, matches!(fill, Fill::Blur))?;
    let masks = mask.len() / (tall * wide).max(1);
    let mask = Mask::from_values(mask, [masks, tall, wide], &device)?;
    Ok((Image::from_values(values, [batch, tall, wide, channels], &device)?, mask))
}

/// The means of an image's four edges.
struct Edges {
    left: Vec<f32>,
    right: Vec<f32>,
    top: Vec<f32>,
    bottom: Vec<f32>,
}

impl Edges {
    fn of(item: &[f32], [height, width, channels]: [usize; 3]) -> Self {
        let mean = |places: &mut dyn Iterator<Item = usize>, count: usize| -> Vec<f32> {
            let mut sums = vec![0.0_f64; channels];
            for place in places {
                sums.iter_mut().zip(&item[place * channels..]).for_each(|(sum, value)| *sum += f64::from(*value));
            }
            sums.into_iter().map(|sum| (sum / count as f64) as f32).collect()
        };
        Self {
            left: mean(&mut (0..height).map(|y| y * width), height),
            right: mean(&mut (0..height).map(|y| y * width + width - 1), height),
            top: mean(&mut (0..width), width),
            bottom: mean(&mut (0..width).map(|x| (height - 1) * width + x), width),
        }
    }
}

fn bordered_mask(
    mask: Option<&Mask>,
    [batch, height, width]: [usize; 3],
    border: Border,
    ones_around: bool,
) -> Result<Vec<f32>, NodeError> {
    let (tall, wide) = (height + border.top + border.bottom, width + border.left + border.right);
    let around = |y: usize, x: usize| {
        let inside = |n: usize, before: usize, count: usize| (before..before + count).contains(&n);
        !inside(y, border.top, height) || !inside(x, border.left, width)
    };
    let Some(mask) = mask else {
        let one = (0..tall * wide).map(|i| f32::from(around(i / wide, i % wide)));
        return Ok(one.collect::<Vec<_>>().repeat(batch));
    };
    let [masks, rows, columns] = mask.dims();
    if [rows, columns] != [height, width] {
        return Err(NodeError::new(format!("`mask` is {columns}x{rows}, but the images are {width}x{height}")));
    }
    if ones_around && masks != 1 && masks != batch {
        return Err(NodeError::new(format!(
            "there are {masks} masks for {batch} images; it can be one, or one for each"
        )));
    }
    let source = mask.values()?;
    let mut values = Vec::with_capacity(masks * tall * wide);
    for item in source.chunks_exact(height * width) {
        for y in 0..tall {
            for x in 0..wide {
                let near = |n: usize, before: usize, count: usize| n.saturating_sub(before).min(count - 1);
                let nearest = item[near(y, border.top, height) * width + near(x, border.left, width)];
                values.push(if ones_around && around(y, x) { 1.0 } else { nearest });
            }
        }
    }
    Ok(if ones_around && masks == 1 { values.repeat(batch) } else { values })
}

/// Share of grey in a blurred border.
const GREY: f32 = 0.20;
/// How bright a blurred border is.
const BRIGHTNESS: f32 = 0.35;

/// The images enlarged to fill `[tall, wide]`, cut in the middle, blurred, a fifth greyer and darker; `[B, H, W, C]`.
fn blurred(source: &[f32], shape: [usize; 4], [tall, wide]: [usize; 2]) -> Result<Vec<f32>, NodeError> {
    let [batch, height, width, channels] = shape;
    let factor = (wide as f64 / width as f64).max(tall as f64 / height as f64);
    let side = |n: usize| ((n as f64 * factor).round_ties_even() as usize).max(1);
    let planes = Planes::from_pixels(shape, source)?;
    let large = common_upscale(&planes, side(width), side(height), Method::Bilinear, Crop::Disabled)?;
    let sigma = (0.006 * tall.min(wide) as f64).max(1.0);
    let taps = taps(sigma);
    let [_, _, rows, columns] = large.shape();
    let mut planes = Vec::with_capacity(batch * channels * tall * wide);
    for plane in large.values().chunks_exact(rows * columns) {
        let window = middle(plane, [rows, columns], [tall, wide]);
        planes.extend(smoothed(&smoothed(&window, tall, wide, 1, &taps), wide, tall, wide, &taps));
    }
    let area = tall * wide;
    let mut values = Vec::with_capacity(planes.len());
    for item in planes.chunks_exact(channels * area) {
        for place in 0..area {
            let at = |channel: usize| item[channel * area + place];
            let luma = if channels >= 3 { 0.2126 * at(0) + 0.7152 * at(1) + 0.0722 * at(2) } else { 0.0 };
            let greyer = |c: usize| if channels >= 3 && c < 3 { at(c) * (1.0 - GREY) + luma * GREY } else { at(c) };
            values.extend((0..channels).map(|c| (greyer(c) * BRIGHTNESS).clamp(0.0, 1.0)));
        }
    }
    Ok(values)
}

/// The middle of a plane; where it is smaller than the part, its edge goes on.
fn middle(plane: &[f32], [rows, columns]: [usize; 2], [tall, wide]: [usize; 2]) -> Vec<f32> {
    let place = |n: usize, there: usize, wanted: usize| {
        if there >= wanted { n + (there - wanted) / 2 } else { n.saturating_sub((wanted - there) / 2).min(there - 1) }
    };
    let row = |y: usize| place(y, rows, tall) * columns;
    (0..tall).flat_map(|y| (0..wide).map(move |x| plane[row(y) + place(x, columns, wide)])).collect()
}

/// A bell curve of width `sigma`, cut at three of it, of sum 1.
fn taps(sigma: f64) -> Vec<f32> {
    let radius = ((3.0 * sigma) as i64).max(1);
    let bell: Vec<f64> = (-radius..=radius).map(|x| (-((x * x) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum: f64 = bell.iter().sum();
    bell.into_iter().map(|tap| (tap / sum) as f32).collect()
}

/// `lines` lines of `length` values, `stride` apart within a line, each weighted with its neighbours; 0 lies beyond.
fn smoothed(plane: &[f32], lines: usize, length: usize, stride: usize, taps: &[f32]) -> Vec<f32> {
    let radius = taps.len() / 2;
    let line_stride = if stride == 1 { length } else { 1 };
    let mut out = vec![0.0; plane.len()];
    for line in 0..lines {
        for at in 0..length {
            let (first, last) = (at.saturating_sub(radius), (at + radius).min(length - 1));
            let weighted = (first..=last).map(|i| plane[line * line_stride + i * stride] * taps[i + radius - at]);
            out[line * line_stride + at * stride] = weighted.sum();
        }
    }
    out
}
