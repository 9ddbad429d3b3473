//! Canny's edge detector with kornia's numbers.
//!
//! Grey, blurred (5 x 5, sigma 1), differentiated by Sobel's kernels, thinned along the gradient, cut at two thresholds;
//! weak edges stay where a strong one touches them. Sources: kornia 0.9 `filters/canny.py`, `gaussian.py`, `sobel.py`,
//! `color/gray.py`.

use super::error::ImageError;
use super::planes::Planes;

/// Shares of red, green and blue in grey.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// How far the blur reaches.
const RADIUS: usize = 2;
/// What keeps the gradient's length from being nothing.
const EPSILON: f32 = 1e-6;
/// Steps to the neighbours, from the right one on towards the lower one: x, y.
const NEIGHBOURS: [[isize; 2]; 8] = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];

/// One plane of values.
struct Plane {
    height: usize,
    width: usize,
    values: Vec<f32>,
}

/// Edges of images: 1 where one is, else 0.
///
/// # Shapes
/// `[B, 1 or more, H, W]` to `[B, 1, H, W]`; from three channels on the first three are red, green and blue.
/// # Errors
/// [`ImageError::Thresholds`] unless `0 < low <= high`, [`ImageError::TooSmall`] below 3 x 3 pixels.
pub fn canny(planes: &Planes, low: f32, high: f32) -> Result<Planes, ImageError> {
    let [batch, channels, height, width] = planes.shape();
    if !(low > 0.0 && low <= high) {
        return Err(ImageError::Thresholds { low, high });
    }
    let least = RADIUS + 1;
    if height < least || width < least {
        return Err(ImageError::TooSmall { height, width, least });
    }
    let edges = |image: &[f32]| {
        let grey = Plane { height, width, values: grey(image, channels, height * width) };
        grey.blurred().edges(low, high)
    };
    let found = planes.values().chunks_exact(channels * height * width).flat_map(edges).collect();
    Planes::new([batch, 1, height, width], found)
}

fn grey(image: &[f32], channels: usize, size: usize) -> Vec<f32> {
    if channels < GREY.len() {
        return image[..size].to_vec();
    }
    let [red, green, blue] = GREY;
    (0..size).map(|i| image[2 * size + i].mul_add(blue, image[size + i].mul_add(green, image[i] * red))).collect()
}

/// A normal curve of deviation 1 at -2 to 2, adding up to 1.
fn gaussian() -> [f32; 2 * RADIUS + 1] {
    let curve = std::array::from_fn::<f32, { 2 * RADIUS + 1 }, _>(|i| {
        let x = i as f32 - RADIUS as f32;
        (-x * x / 2.0).exp()
    });
    let sum: f32 = curve.iter().sum();
    curve.map(|v| v / sum)
}

/// A place beyond the border, mirrored at the last pixel.
fn mirrored(at: usize, step: usize, n: usize) -> usize {
    let place = (at + step).abs_diff(RADIUS);
    if place < n { place } else { 2 * (n - 1) - place }
}

impl Plane {
    /// Blurred along the rows, then along the columns.
    fn blurred(&self) -> Self {
        let across = self.along(|y, x, tap| self.values[y * self.width + mirrored(x, tap, self.width)]);
        across.along(|y, x, tap| across.values[mirrored(y, tap, self.height) * self.width + x])
    }

    /// The blur's sum at each place over what `tap` finds for it.
    fn along(&self, tap: impl Fn(usize, usize, usize) -> f32) -> Self {
        let curve = gaussian();
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let first = tap(y, x, 0) * curve[0];
                values.push((1..curve.len()).fold(first, |sum, i| tap(y, x, i).mul_add(curve[i], sum)));
            }
        }
        Self { height: self.height, width: self.width, values }
    }

    /// Sobel's two differences at a place, summed row by row as the reference does; the border goes on.
    fn gradient(&self, y: usize, x: usize) -> [f32; 2] {
        let at = |dy: usize, dx: usize| {
            let row = (y + dy).saturating_sub(1).min(self.height - 1);
            let column = (x + dx).saturating_sub(1).min(self.width - 1);
            self.values[row * self.width + column]
        };
        let across = -at(0, 0) + at(0, 2) - 2.0 * at(1, 0) + 2.0 * at(1, 2) - at(2, 0) + at(2, 2);
        let down = -at(0, 0) - 2.0 * at(0, 1) - at(0, 2) + at(2, 0) + 2.0 * at(2, 1) + at(2, 2);
        [across, down]
    }

    fn edges(&self, low: f32, high: f32) -> Vec<f32> {
        let (height, width) = (self.height, self.width);
        let gradients: Vec<[f32; 2]> = (0..height * width).map(|i| self.gradient(i / width, i % width)).collect();
        let lengths = gradients.iter().map(|[x, y]| length(*x, *y)).collect();
        let ridges = Self { height, width, values: lengths }.thinned(&gradients);
        ridges.tracked(low, high)
    }

    /// The value beside a place; beyond the border that of a place without gradient.
    fn beside(&self, y: usize, x: usize, [dx, dy]: [isize; 2]) -> f32 {
        match (y.checked_add_signed(dy), x.checked_add_signed(dx)) {
            (Some(y), Some(x)) if y < self.height && x < self.width => self.values[y * self.width + x],
            _ => length(0.0, 0.0),
        }
    }

    /// Only what is larger than both neighbours along its gradient. Of two equal ones across a step the left or upper one
    /// stays.
    fn thinned(&self, gradients: &[[f32; 2]]) -> Self {
        let kept = |(i, value): (usize, &f32)| {
            let [gx, gy] = gradients[i];
            // Eighths of a turn, from -4 to 4.
            let direction = (gy.atan2(gx) * (4.0 / std::f64::consts::PI) as f32).round_ties_even() as isize;
            let beats = |direction: isize| {
                let direction = direction.rem_euclid(8) as usize;
                let other = self.beside(i / self.width, i % self.width, NEIGHBOURS[direction]);
                *value > other || (matches!(direction, 0 | 2) && *value == other)
            };
            let is_ridge = *value > length(0.0, 0.0) && beats(direction) && beats(direction + 4);
            if is_ridge { *value } else { 0.0 }
        };
        let values = self.values.iter().enumerate().map(kept).collect();
        Self { height: self.height, width: self.width, values }
    }

    /// What is above the high threshold, and what is above the low one and connected to it.
    fn tracked(&self, low: f32, high: f32) -> Vec<f32> {
        let mut edges = vec![0.0; self.values.len()];
        let mut pending: Vec<usize> = (0..self.values.len()).filter(|i| self.values[*i] > high).collect();
        for i in &pending {
            edges[*i] = 1.0;
        }
        while let Some(i) = pending.pop() {
            for [dx, dy] in NEIGHBOURS {
                let row = (i / self.width).checked_add_signed(dy).filter(|y| *y < self.height);
                let column = (i % self.width).checked_add_signed(dx).filter(|x| *x < self.width);
                if let (Some(y), Some(x)) = (row, column) {
                    let next = y * self.width + x;
                    if self.values[next] > low && edges[next] == 0.0 {
                        edges[next] = 1.0;
                        pending.push(next);
                    }
                }
            }
        }
        edges
    }
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y + EPSILON).sqrt()
}
