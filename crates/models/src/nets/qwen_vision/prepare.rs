//! An image as the tower wants it: whole cells, around CLIP's mean, cut into patches.

use burn::tensor::{Device, Tensor, TensorData};

use super::grid::{Grid, PATCH};
use crate::image::{Crop, ImageError, Method, Planes, common_upscale};

/// Mean and deviation of red, green and blue.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// Values of a patch: three channels of two equal frames.
pub(super) const FEATURES: usize = 3 * 2 * PATCH * PATCH;

/// An image in patches.
#[derive(Debug, Clone)]
pub struct Patches {
    /// Its cells.
    pub grid: Grid,
    /// The patches cell by cell, `[4 · cells, 3 · 2 · 14 · 14]`: channel, frame, row, column.
    pub features: Tensor<2>,
}

/// The first item of `image`, `[batch, channels, height, width]` in 0..1, resized without antialiasing and cut. Channels
/// behind the third are left out.
///
/// # Errors
/// [`ImageError`] when there are fewer than three channels.
pub fn prepared(image: &Planes, device: &Device) -> Result<Patches, ImageError> {
    let [_, channels, height, width] = image.shape();
    let wanted = 3 * height * width;
    if channels < 3 {
        let shape = [1, channels, height, width];
        return Err(ImageError::Length { shape, expected: wanted, found: channels * height * width });
    }
    let first = Planes::new([1, 3, height, width], image.values()[..wanted].to_vec())?;
    let grid = Grid::of_image(height, width);
    let [rows, columns] = grid.pixels();
    let resized = common_upscale(&first, columns, rows, Method::Bilinear, Crop::Disabled)?;
    let features = cut(resized.values(), grid);
    let shape = [4 * grid.cells(), FEATURES];
    Ok(Patches { grid, features: Tensor::from_data(TensorData::new(features, shape), device) })
}

fn cut(planes: &[f32], grid: Grid) -> Vec<f32> {
    let [height, width] = grid.pixels();
    let mut features = Vec::with_capacity(2 * planes.len());
    for patch in 0..4 * grid.cells() {
        let (cell, inside) = (patch / 4, patch % 4);
        let top = (2 * (cell / grid.columns) + inside / 2) * PATCH;
        let left = (2 * (cell % grid.columns) + inside % 2) * PATCH;
        for (channel, (mean, deviation)) in MEAN.into_iter().zip(DEVIATION).enumerate() {
            let start = features.len();
            for row in top..top + PATCH {
                let at = (channel * height + row) * width + left;
                features.extend(planes[at..at + PATCH].iter().map(|value| (value - mean) / deviation));
            }
            // A picture is a video of two equal frames.
            features.extend_from_within(start..);
        }
    }
    features
}
