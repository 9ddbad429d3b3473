//! Images as planes: batch, channels, rows, columns of `f32` in memory.

use burn::tensor::{Device, Tensor, TensorData};

use super::error::ImageError;

/// `[batch, channels, height, width]` values, row-major, no side empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    shape: [usize; 4],
    values: Vec<f32>,
}

impl Planes {
    /// Planes of a shape.
    ///
    /// # Errors
    /// When the number of values isn't the shape's, or a side is empty.
    pub fn new(shape: [usize; 4], values: Vec<f32>) -> Result<Self, ImageError> {
        let expected = shape.iter().product();
        if values.len() != expected {
            return Err(ImageError::Length { shape, expected, found: values.len() });
        }
        if expected == 0 {
            return Err(ImageError::Empty { what: "image", height: shape[2], width: shape[3] });
        }
        Ok(Self { shape, values })
    }

    /// Reads a `[B, C, H, W]` tensor.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the device can't be read.
    pub fn from_tensor(tensor: &Tensor<4>) -> Result<Self, ImageError> {
        let values = tensor.try_to_vec_as::<f32>().map_err(|e| ImageError::Read(e.to_string()))?;
        Self::new(tensor.dims(), values)
    }

    /// Reads values in the order of IMAGE, `[B, H, W, C]`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_pixels([b, h, w, c]: [usize; 4], pixels: &[f32]) -> Result<Self, ImageError> {
        let shape = [b, c, h, w];
        if pixels.len() != b * h * w * c {
            return Err(ImageError::Length { shape, expected: b * h * w * c, found: pixels.len() });
        }
        let place = |i: usize| {
            let (x, y) = (i % w, i / w % h);
            let (channel, item) = (i / (w * h) % c, i / (w * h * c));
            pixels[((item * h + y) * w + x) * c + channel]
        };
        Self::new(shape, (0..pixels.len()).map(place).collect())
    }

    /// As a `[B, C, H, W]` tensor.
    pub fn to_tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device)
    }

    /// The values in the order of IMAGE, `[B, H, W, C]`.
    pub fn to_pixels(&self) -> Vec<f32> {
        let [b, c, h, w] = self.shape;
        let mut pixels = Vec::with_capacity(self.values.len());
        for item in 0..b {
            for place in 0..h * w {
                pixels.extend((0..c).map(|channel| self.values[(item * c + channel) * h * w + place]));
            }
        }
        pixels
    }

    /// `[batch, channels, height, width]`.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, row-major.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// A part of each plane. The part must lie inside.
    pub(crate) fn window(&self, y: usize, x: usize, height: usize, width: usize) -> Self {
        let [b, c, h, w] = self.shape;
        let rows = (0..b * c).flat_map(|plane| (y..y + height).map(move |row| (plane * h + row) * w + x));
        let values = rows.flat_map(|start| self.values[start..start + width].iter().copied()).collect();
        Self { shape: [b, c, height, width], values }
    }

    /// Planes of another size, each computed from one of these.
    pub(super) fn map(&self, height: usize, width: usize, mut plane: impl FnMut(&[f32]) -> Vec<f32>) -> Self {
        let [b, c, h, w] = self.shape;
        let values = self.values.chunks_exact(h * w).flat_map(&mut plane).collect();
        Self { shape: [b, c, height, width], values }
    }

    /// Turned by quarter turns, clockwise as seen (LatentRotate).
    pub fn rotated(&self, quarter_turns: usize) -> Self {
        let [_, _, h, w] = self.shape;
        let turns = quarter_turns % 4;
        let (height, width) = if turns.is_multiple_of(2) { (h, w) } else { (w, h) };
        self.map(height, width, |plane| {
            let place = |i: usize| {
                let (y, x) = (i / width, i % width);
                match turns {
                    0 => y * w + x,
                    1 => (h - 1 - x) * w + y,
                    2 => (h - 1 - y) * w + (w - 1 - x),
                    _ => x * w + (w - 1 - y),
                }
            };
            (0..height * width).map(|i| plane[place(i)]).collect()
        })
    }

    /// Upside down, or mirrored (LatentFlip).
    pub fn flipped(&self, vertically: bool) -> Self {
        let [_, _, h, w] = self.shape;
        self.map(h, w, |plane| {
            let place = |i: usize| {
                let (y, x) = (i / w, i % w);
                if vertically { (h - 1 - y) * w + x } else { y * w + (w - 1 - x) }
            };
            (0..h * w).map(|i| plane[place(i)]).collect()
        })
    }
}
