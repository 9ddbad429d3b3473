//! A letterbox: an image fitted into a square's width or height, with grey bars up to a multiple of 32 pixels, and the way
//! back from places in it to places in the image.
//!
//! Source: ultralytics `LetterBox(auto=True)` and `scale_boxes`; OpenCV's 8-bit bilinear `resize`.

use super::error::ImageError;
use super::pillow::Pixels;

/// What the bars are painted with.
const GREY: u8 = 114;
/// Both sides are multiples of this.
const GRID: usize = 32;

/// How an image lies in its letterbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letterbox {
    /// Height and width of the image.
    image: [usize; 2],
    /// Height and width of the image inside.
    inner: [usize; 2],
    /// Bars above, below, to the left and to the right.
    bars: [usize; 4],
}

impl Letterbox {
    /// The letterbox of an image of `[height, width]` whose longer side becomes `side`.
    pub fn new(image: [usize; 2], side: usize) -> Self {
        let [height, width] = image.map(|n| n.max(1));
        let ratio = (side as f64 / height as f64).min(side as f64 / width as f64);
        let fitted = |n: usize| ((n as f64 * ratio).round_ties_even() as usize).clamp(1, side.max(1));
        let inner = [fitted(height), fitted(width)];
        let half = |n: usize| ((side - n.min(side)) % GRID) as f64 / 2.0;
        let bar = |n: usize, shift: f64| (half(n) + shift).round_ties_even().max(0.0) as usize;
        let bars = [bar(inner[0], -0.1), bar(inner[0], 0.1), bar(inner[1], -0.1), bar(inner[1], 0.1)];
        Self { image: [height, width], inner, bars }
    }

    /// Height and width with the bars.
    pub fn size(&self) -> [usize; 2] {
        let [top, bottom, left, right] = self.bars;
        [self.inner[0] + top + bottom, self.inner[1] + left + right]
    }

    /// The image in its letterbox.
    ///
    /// # Errors
    /// [`ImageError::Length`] when the image has another size than the one the letterbox was made for.
    pub fn put(&self, image: &Pixels) -> Result<Pixels, ImageError> {
        let [height, width, channels] = image.dims();
        if [height, width] != self.image {
            let shape = [1, channels, self.image[0], self.image[1]];
            let expected = shape.iter().product();
            return Err(ImageError::Length { shape, expected, found: image.bytes().len() });
        }
        let resized = (self.inner != self.image).then(|| bilinear(image, self.inner));
        let inner = resized.as_deref().unwrap_or(image.bytes());
        let [rows, columns] = self.size();
        let mut out = vec![GREY; rows * columns * channels];
        let row = self.inner[1] * channels;
        for (y, from) in inner.chunks_exact(row).enumerate() {
            let start = ((y + self.bars[0]) * columns + self.bars[2]) * channels;
            out[start..start + row].copy_from_slice(from);
        }
        Pixels::new([rows, columns, channels], out)
    }

    /// Where a box in the letterbox (left, top, right, bottom) lies in the image, clipped to it.
    pub fn back(&self, corners: [f64; 4]) -> [f64; 4] {
        let ([rows, columns], [height, width]) = (self.size().map(|n| n as f64), self.image.map(|n| n as f64));
        let gain = (rows / height).min(columns / width);
        let bar = |outer: f64, inner: f64| ((outer - inner * gain) / 2.0 - 0.1).round_ties_even();
        let (x, y) = (bar(columns, width), bar(rows, height));
        let [left, top, right, bottom] = corners;
        let across = |v: f64| ((v - x) / gain).clamp(0.0, width);
        let down = |v: f64| ((v - y) / gain).clamp(0.0, height);
        [across(left), down(top), across(right), down(bottom)]
    }
}

/// Where an output place looks: the place before it, and the weights of that and the next one in 2048ths.
#[derive(Clone, Copy)]
struct Place {
    first: i64,
    weights: [i32; 2],
}

const ONE: f32 = 2048.0;

fn places(from: usize, to: usize, clamped: bool) -> Vec<Place> {
    let scale = from as f64 / to as f64;
    let place = |i: usize| {
        let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let (mut first, mut share) = (at.floor() as i64, at - at.floor());
        if clamped && first < 0 {
            (first, share) = (0, 0.0);
        }
        if clamped && first >= from as i64 - 1 {
            (first, share) = (from as i64 - 1, 0.0);
        }
        let weight = |share: f32| (ONE * share).round_ties_even() as i32;
        Place { first, weights: [weight(1.0 - share), weight(share)] }
    };
    (0..to).map(place).collect()
}

/// OpenCV's fixed-point bilinear resizing: it truncates where a rounded one would not.
fn bilinear(image: &Pixels, [rows, columns]: [usize; 2]) -> Vec<u8> {
    let [height, width, channels] = image.dims();
    let (across, down) = (places(width, columns, true), places(height, rows, false));
    let line = |y: usize| -> Vec<i32> {
        let row = &image.bytes()[y * width * channels..(y + 1) * width * channels];
        let pixel = |place: &Place, c: usize| {
            let (first, next) = (place.first as usize, (place.first as usize + 1).min(width - 1));
            let at = |x: usize| i32::from(row[x * channels + c]);
            at(first) * place.weights[0] + at(next) * place.weights[1]
        };
        across.iter().flat_map(|place| (0..channels).map(move |c| pixel(place, c))).collect()
    };
    let inside = |y: i64| y.clamp(0, height as i64 - 1) as usize;
    let mut lines: [(usize, Vec<i32>); 2] = [(usize::MAX, Vec::new()), (usize::MAX, Vec::new())];
    let mut out = Vec::with_capacity(rows * columns * channels);
    for place in &down {
        let wanted = [inside(place.first), inside(place.first + 1)];
        // The lower line of one row is often the upper one of the next.
        if lines[1].0 == wanted[0] {
            lines.swap(0, 1);
        }
        for (held, y) in lines.iter_mut().zip(wanted) {
            if held.0 != y {
                *held = (y, line(y));
            }
        }
        let weighed = |v: i32, weight: i32| (weight * (v >> 4)) >> 16;
        let [upper, lower] = place.weights;
        let pairs = lines[0].1.iter().zip(&lines[1].1);
        out.extend(pairs.map(|(a, b)| ((weighed(*a, upper) + weighed(*b, lower) + 2) >> 2).clamp(0, 255) as u8));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sides_are_multiples_of_the_grid_and_the_way_back_undoes_the_way_there() {
        let letterbox = Letterbox::new([1080, 1920], 640);
        assert_eq!(letterbox.size(), [384, 640]);
        assert_eq!(letterbox.back([0.0, 12.0, 640.0, 372.0]), [0.0, 0.0, 1920.0, 1080.0]);
    }

    #[test]
    fn no_image_is_too_small_or_too_wide() {
        for size in [[1, 1], [1, 20_000], [20_000, 1], [3, 2]] {
            let letterbox = Letterbox::new(size, 640);
            let [height, width] = size;
            let image = Pixels::new([height, width, 3], vec![7; height * width * 3]).unwrap();
            let [rows, columns, _] = letterbox.put(&image).unwrap().dims();
            assert!(rows % 32 == 0 && columns % 32 == 0 && rows.max(columns) == 640, "{size:?}: {rows} {columns}");
        }
    }

    #[test]
    fn an_image_of_another_size_is_refused() {
        let image = Pixels::new([2, 2, 3], vec![0; 12]).unwrap();
        assert!(Letterbox::new([3, 2], 64).put(&image).is_err());
    }
}
