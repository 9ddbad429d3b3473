//! The layers of a tiny autoencoder of clips, and what they remember of the frame before.

use burn::tensor::Tensor;

use crate::{error::ModelError, nets::layers::Conv2d, ops, weights::WeightBuilder};

/// The share of a negative value that is left where it isn't cut off.
const SLOPE: f64 = 0.2;

/// A layer. Works on the frames of one clip, `[frames, channels, h, w]`.
#[derive(Debug)]
pub(super) enum Step {
    /// `tanh(x / 3) · 3`.
    Clamp,
    Conv(Conv2d),
    Active(Activation),
    Double,
    /// Joins as many frames to one, by a convolution of their channels.
    Join(Conv2d, usize),
    /// Makes as many frames of one.
    Split(Conv2d, usize),
    /// Three convolutions around a skip, of the frame and the one before it.
    Block(Box<[Conv2d; 3]>, Activation),
}

/// What becomes of negative values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Activation {
    Cut,
    Leaky,
}

/// The last frame that each layer saw; none yet at the beginning of a clip.
pub(super) type Memory = Vec<Option<Tensor<4>>>;

impl Activation {
    fn forward(self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        Ok(match self {
            Self::Cut => x.clamp_min(0.0),
            Self::Leaky => ops::leaky_relu(x, SLOPE)?,
        })
    }
}

impl Step {
    pub(super) fn join(wb: &WeightBuilder<'_>, path: &str, channels: usize, frames: usize) -> Result<Self, ModelError> {
        Ok(Self::Join(Conv2d::without_bias(wb, &format!("{path}.conv"), channels * frames, channels, 1)?, frames))
    }

    pub(super) fn split(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        frames: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self::Split(Conv2d::without_bias(wb, &format!("{path}.conv"), channels, channels * frames, 1)?, frames))
    }

    pub(super) fn block(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        act: Activation,
    ) -> Result<Self, ModelError> {
        let conv = |n: usize, inputs: usize| Conv2d::new(wb, &format!("{path}.conv.{n}"), inputs, channels, 3);
        Ok(Self::Block(Box::new([conv(0, 2 * channels)?, conv(2, channels)?, conv(4, channels)?]), act))
    }

    /// `last`: the frame before the first of `x`.
    pub(super) fn forward(&self, x: Tensor<4>, last: &mut Option<Tensor<4>>) -> Result<Tensor<4>, ModelError> {
        let [frames, channels, height, width] = x.dims();
        match self {
            Self::Clamp => Ok((x / 3.0).tanh() * 3.0),
            Self::Conv(conv) => conv.forward(x),
            Self::Active(activation) => activation.forward(x),
            Self::Double => Ok(ops::upsample_nearest(x, height * 2, width * 2)?),
            Self::Join(conv, count) => conv.forward(x.reshape([frames / count, channels * count, height, width])),
            Self::Split(conv, count) => Ok(conv.forward(x)?.reshape([frames * count, channels, height, width])),
            Self::Block(convs, act) => {
                let past = with_before(&x, last.take());
                *last = Some(x.clone().narrow(0, frames - 1, 1));
                let [first, second, third] = &**convs;
                let h = act.forward(first.forward(Tensor::cat(vec![x.clone(), past], 1))?)?;
                let h = act.forward(second.forward(h)?)?;
                act.forward(third.forward(h)? + x)
            }
        }
    }
}

/// The frame before each frame; nothing before the first of a clip.
fn with_before(x: &Tensor<4>, last: Option<Tensor<4>>) -> Tensor<4> {
    let frames = x.dims()[0];
    let before = last.unwrap_or_else(|| x.clone().narrow(0, 0, 1).zeros_like());
    if frames == 1 { before } else { Tensor::cat(vec![before, x.clone().narrow(0, 0, frames - 1)], 0) }
}
