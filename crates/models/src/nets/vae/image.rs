//! Images as people hold them, `[batch, height, width, 3]` in 0..1, through the autoencoder: whole or in tiles.
//!
//! Knows ranges, cropping and feathered tiles; the network knows none of them.

use burn::tensor::{Tensor, TensorData};

use super::{autoencoder::Autoencoder, model::Vae};
use crate::error::ModelError;

/// Sizes of tiles, counted in cells of what is cut: latent cells for decoding, pixels for encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Width of a tile.
    pub width: usize,
    /// Height of a tile.
    pub height: usize,
    /// How far neighbours overlap, on each axis. Less than both sides.
    pub overlap: usize,
}

impl Tiles {
    /// Square tiles.
    pub fn square(side: usize, overlap: usize) -> Self {
        Self { width: side, height: side, overlap }
    }

    fn wide(self) -> Self {
        Self { width: self.width * 2, height: self.height / 2, ..self }
    }

    fn tall(self) -> Self {
        Self { width: self.width / 2, height: self.height * 2, ..self }
    }

    fn check(self) -> Result<(), ModelError> {
        // The narrowest pass halves a side.
        if self.width.min(self.height) / 2 > self.overlap {
            return Ok(());
        }
        let expected = format!("sides of more than twice the overlap {}", self.overlap);
        Err(ModelError::Input { network: "VAE", what: "tiles", expected, found: vec![self.height, self.width] })
    }
}

impl dyn Autoencoder + '_ {
    /// A latent as an image.
    ///
    /// # Shapes
    /// `[batch, channels, h, w]` to `[batch, h · scale, w · scale, 3]` in 0..1.
    /// # Errors
    /// As [`Autoencoder::decode`].
    pub fn decode_image(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        Ok(to_image(self.decode(latent)?))
    }

    /// An image as a latent. Sides are cut to multiples of the scale, evenly on both ends; an alpha channel is left out.
    ///
    /// # Shapes
    /// `[batch, height, width, 3 or more]` in 0..1 to `[batch, channels, height / scale, width / scale]`.
    /// # Errors
    /// As [`Autoencoder::encode`].
    pub fn encode_image(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.encode(self.from_image(image)?)
    }

    /// `decode_image` in tiles: the mean of three passes with square, tall and wide ones.
    ///
    /// # Errors
    /// When tiles are not wider than twice their overlap; otherwise as [`Autoencoder::decode`].
    pub fn decode_tiled(&self, latent: Tensor<4>, tiles: Tiles) -> Result<Tensor<4>, ModelError> {
        tiles.check()?;
        let scale = self.scale() as f64;
        let pass = |tiles| tiled(latent.clone(), tiles, scale, |tile| self.decode(tile));
        let sum = pass(tiles.tall())? + pass(tiles.wide())? + pass(tiles)?;
        Ok(to_image(sum / 3.0))
    }

    /// `encode_image` in tiles, likewise.
    ///
    /// # Errors
    /// As `decode_tiled`.
    pub fn encode_tiled(&self, image: Tensor<4>, tiles: Tiles) -> Result<Tensor<4>, ModelError> {
        tiles.check()?;
        let scale = 1.0 / self.scale() as f64;
        let image = self.from_image(image)?;
        let pass = |tiles| tiled(image.clone(), tiles, scale, |tile| self.encode(tile));
        Ok((pass(tiles)? + pass(tiles.wide())? + pass(tiles.tall())?) / 3.0)
    }

    /// `[batch, h, w, c]` in 0..1 to `[batch, 3, h', w']` in -1..1.
    #[allow(clippy::wrong_self_convention)]
    fn from_image(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let ([batch, height, width, channels], side) = (image.dims(), self.scale());
        let wanted = self.image_channels();
        if channels < wanted || height < side || width < side {
            let expected = format!("[batch, {side} or more, {side} or more, {wanted}]");
            return Err(ModelError::Input { network: "VAE", what: "image", expected, found: image.dims().to_vec() });
        }
        let (top, left) = (height % side / 2, width % side / 2);
        let (height, width) = (height - height % side, width - width % side);
        let cut = image.slice([0..batch, top..top + height, left..left + width, 0..wanted]);
        Ok(cut.permute([0, 3, 1, 2]) * 2.0 - 1.0)
    }
}

impl Vae {
    /// [`decode_image`](Autoencoder#method.decode_image) of this network.
    ///
    /// # Errors
    /// As [`Vae::decode`].
    pub fn decode_image(&self, latent: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        (self as &dyn Autoencoder).decode_image(latent)
    }

    /// [`encode_image`](Autoencoder#method.encode_image) of this network.
    ///
    /// # Errors
    /// As [`Vae::encode`].
    pub fn encode_image(&self, image: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        (self as &dyn Autoencoder).encode_image(image)
    }

    /// [`decode_tiled`](Autoencoder#method.decode_tiled) of this network.
    ///
    /// # Errors
    /// When tiles are not wider than twice their overlap; otherwise as [`Vae::decode`].
    pub fn decode_tiled(&self, latent: Tensor<4>, tiles: Tiles) -> Result<Tensor<4>, ModelError> {
        (self as &dyn Autoencoder).decode_tiled(latent, tiles)
    }

    /// [`encode_tiled`](Autoencoder#method.encode_tiled) of this network.
    ///
    /// # Errors
    /// As [`Vae::decode_tiled`].
    pub fn encode_tiled(&self, image: Tensor<4>, tiles: Tiles) -> Result<Tensor<4>, ModelError> {
        (self as &dyn Autoencoder).encode_tiled(image, tiles)
    }
}

/// -1..1 and channels first to 0..1, clamped, channels last.
fn to_image(x: Tensor<4>) -> Tensor<4> {
    ((x + 1.0) / 2.0).clamp(0.0, 1.0).permute([0, 2, 3, 1])
}

/// Applies `run` to overlapping tiles of each batch item and blends their results; an item that fits in one tile goes
/// through whole.
///
/// # Shapes
/// `x` `[batch, c, h, w]`; `run` maps `[1, c, th, tw]` to `[1, c', th · scale, tw · scale]`.
/// # Errors
/// Whatever `run` answers; `ModelError::Input` when tiles are not larger than their overlap.
pub fn tiled(
    x: Tensor<4>,
    tiles: Tiles,
    scale: f64,
    mut run: impl FnMut(Tensor<4>) -> Result<Tensor<4>, ModelError>,
) -> Result<Tensor<4>, ModelError> {
    let [batch, channels, height, width] = x.dims();
    if tiles.width.min(tiles.height) <= tiles.overlap {
        let expected = format!("sides larger than the overlap {}", tiles.overlap);
        return Err(ModelError::Input {
            network: "tiles",
            what: "tiles",
            expected,
            found: vec![tiles.height, tiles.width],
        });
    }
    let item = |b: usize| x.clone().slice([b..b + 1, 0..channels, 0..height, 0..width]);
    let whole = height <= tiles.height && width <= tiles.width;
    let results = (0..batch).map(|b| if whole { run(item(b)) } else { blend(item(b), tiles, scale, &mut run) });
    Ok(Tensor::cat(results.collect::<Result<Vec<_>, _>>()?, 0))
}

fn blend(
    x: Tensor<4>,
    tiles: Tiles,
    scale: f64,
    run: &mut impl FnMut(Tensor<4>) -> Result<Tensor<4>, ModelError>,
) -> Result<Tensor<4>, ModelError> {
    let [_, channels, height, width] = x.dims();
    let mut canvas: Option<Canvas> = None;
    for (y, tile_height) in starts(height, tiles.height, tiles.overlap) {
        for (left, tile_width) in starts(width, tiles.width, tiles.overlap) {
            let tile = x.clone().slice([0..1, 0..channels, y..y + tile_height, left..left + tile_width]);
            let done = run(tile)?;
            let size = [scaled(height, scale), scaled(width, scale)];
            let canvas = canvas.get_or_insert_with(|| Canvas::new(done.dims()[1], size));
            canvas.add(done, scaled(y, scale), scaled(left, scale), scaled(tiles.overlap, scale))?;
        }
    }
    let device = x.device();
    canvas.map(|canvas| canvas.finish(&device)).ok_or_else(|| ModelError::Input {
        network: "tiles",
        what: "x",
        expected: "at least one cell".into(),
        found: vec![height, width],
    })
}

fn scaled(n: usize, scale: f64) -> usize {
    (n as f64 * scale).round_ties_even() as usize
}

/// Start and length of each tile along an axis.
fn starts(size: usize, tile: usize, overlap: usize) -> Vec<(usize, usize)> {
    if size <= tile {
        return vec![(0, size)];
    }
    let clamp = |at: usize| at.min(size - overlap);
    (0..size - overlap).step_by(tile - overlap).map(|at| (clamp(at), tile.min(size - clamp(at)))).collect()
}

/// Sums of tiles times their masks, and of the masks.
struct Canvas {
    channels: usize,
    size: [usize; 2],
    sum: Vec<f32>,
    weight: Vec<f32>,
}

impl Canvas {
    fn new(channels: usize, size: [usize; 2]) -> Self {
        let area = size[0] * size[1];
        Self { channels, size, sum: vec![0.0; channels * area], weight: vec![0.0; area] }
    }

    fn add(&mut self, tile: Tensor<4>, top: usize, left: usize, feather: usize) -> Result<(), ModelError> {
        let [_, channels, height, width] = tile.dims();
        let [rows, columns] = self.size;
        if channels != self.channels || top + height > rows || left + width > columns {
            let expected = format!("[1, {}, up to {}, up to {}]", self.channels, rows - top, columns - left);
            return Err(ModelError::Input { network: "tiles", what: "result", expected, found: tile.dims().to_vec() });
        }
        let values = floats(tile)?;
        let (down, across) = (ramp(height, feather), ramp(width, feather));
        for (y, fy) in down.iter().enumerate() {
            for (x, fx) in across.iter().enumerate() {
                let (mask, at) = (fy * fx, (top + y) * columns + left + x);
                self.weight[at] += mask;
                for c in 0..channels {
                    self.sum[c * rows * columns + at] += values[(c * height + y) * width + x] * mask;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, device: &burn::tensor::Device) -> Tensor<4> {
        for plane in self.sum.chunks_mut(self.weight.len().max(1)) {
            plane.iter_mut().zip(&self.weight).for_each(|(sum, weight)| *sum /= weight);
        }
        Tensor::from_data(TensorData::new(self.sum, [1, self.channels, self.size[0], self.size[1]]), device)
    }
}

/// The mask along one axis: rising at the start, falling at the end. None on an axis no longer than the feather.
fn ramp(length: usize, feather: usize) -> Vec<f32> {
    let mut mask = vec![1.0f32; length];
    if feather < length {
        for t in 0..feather {
            let factor = ((t + 1) as f64 / feather as f64) as f32;
            mask[t] *= factor;
            mask[length - 1 - t] *= factor;
        }
    }
    mask
}

/// A tensor's values on the host, row-major.
pub(crate) fn floats(x: Tensor<4>) -> Result<Vec<f32>, ModelError> {
    let shape = x.dims().to_vec();
    x.into_data().convert::<f32>().try_to_vec::<f32>().map_err(|_| ModelError::Input {
        network: "tiles",
        what: "x",
        expected: "numbers that f32 can hold".into(),
        found: shape,
    })
}
