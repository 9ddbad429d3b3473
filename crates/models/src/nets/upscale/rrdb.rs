//! ESRGAN: dense blocks, three to a residual block, many of these.

use burn::tensor::{Int, Tensor, TensorData};

use super::config::RrdbConfig;
use crate::{error::ModelError, nets::layers::Conv2d, ops, weights::WeightBuilder};

/// Slope of the leaky ReLU everywhere in the network.
const SLOPE: f64 = 0.2;
/// What a block's result is worth beside its input.
const SHARE: f64 = 0.2;

/// Source: Wang et al. 2018 (ESRGAN); `RRDBNet` of xinntao's BasicSR.
#[derive(Debug)]
pub(super) struct Rrdb {
    unshuffle: usize,
    first: Conv2d,
    blocks: Vec<[Dense; 3]>,
    body: Conv2d,
    doublings: Vec<Conv2d>,
    hr: Conv2d,
    last: Conv2d,
}

impl Rrdb {
    pub(super) fn new(config: &RrdbConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let RrdbConfig { image_channels, unshuffle, channels, growth, blocks, doublings } = *config;
        let conv = |name: &str, inputs, outputs| Conv2d::new(wb, name, inputs, outputs, 3);
        let dense = |i: usize, n: usize| Dense::new(wb, &format!("body.{i}.rdb{n}"), channels, growth);
        let block = |i| Ok([dense(i, 1)?, dense(i, 2)?, dense(i, 3)?]);
        Ok(Self {
            unshuffle,
            first: conv("conv_first", image_channels * unshuffle * unshuffle, channels)?,
            blocks: (0..blocks).map(block).collect::<Result<_, ModelError>>()?,
            body: conv("conv_body", channels, channels)?,
            doublings: (1..=doublings)
                .map(|n| conv(&format!("conv_up{n}"), channels, channels))
                .collect::<Result<_, _>>()?,
            hr: conv("conv_hr", channels, channels)?,
            last: conv("conv_last", channels, image_channels)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [batch, channels, height, width] = x.dims();
        let first = self.first.forward(ops::pixel_unshuffle(mirrored(x, self.unshuffle), self.unshuffle)?)?;
        let h = self.blocks.iter().try_fold(first.clone(), |x, [one, two, three]| {
            let h = three.forward(two.forward(one.forward(x.clone())?)?)?;
            Ok::<_, ModelError>(x + h * SHARE)
        })?;
        let mut h = self.body.forward(h)? + first;
        for conv in &self.doublings {
            let [_, _, height, width] = h.dims();
            h = ops::leaky_relu(conv.forward(ops::upsample_nearest(h, height * 2, width * 2)?)?, SLOPE)?;
        }
        let y = self.last.forward(ops::leaky_relu(self.hr.forward(h)?, SLOPE)?)?;
        let scale = (1 << self.doublings.len()) / self.unshuffle.max(1);
        Ok(y.slice([0..batch, 0..channels, 0..height * scale, 0..width * scale]))
    }
}

/// The image, continued by its mirror image to sides that `factor` divides.
fn mirrored(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let indices = |n: usize| {
        let inside = |i: usize| if i < n { i } else { (2 * (n - 1)).saturating_sub(i) };
        let indices: Vec<i64> = (0..n.next_multiple_of(factor)).map(|i| inside(i) as i64).collect();
        let count = indices.len();
        Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), &x.device())
    };
    if height.is_multiple_of(factor) && width.is_multiple_of(factor) {
        return x;
    }
    let (rows, columns) = (indices(height), indices(width));
    x.select(2, rows).select(3, columns)
}

/// Five convolutions, each seeing the input and all earlier results.
#[derive(Debug)]
struct Dense {
    convs: Vec<Conv2d>,
}

impl Dense {
    fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize, growth: usize) -> Result<Self, ModelError> {
        let conv = |k: usize| {
            let outputs = if k == 5 { channels } else { growth };
            Conv2d::new(wb, &format!("{path}.conv{k}"), channels + (k - 1) * growth, outputs, 3)
        };
        Ok(Self { convs: (1..=5).map(conv).collect::<Result<_, _>>()? })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let mut seen = vec![x.clone()];
        let Some((last, convs)) = self.convs.split_last() else { return Ok(x) };
        for conv in convs {
            seen.push(ops::leaky_relu(conv.forward(Tensor::cat(seen.clone(), 1))?, SLOPE)?);
        }
        Ok(x + last.forward(Tensor::cat(seen, 1))? * SHARE)
    }
}
