//! The block of a tiny autoencoder: three convolutions around a skip, in some models after a global pool.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    nets::layers::{Conv2d, GroupNorm},
    weights::WeightBuilder,
};

/// `relu(conv4(relu(conv2(relu(conv0(x))))) + x)`.
#[derive(Debug)]
pub(super) struct Block {
    convs: [Conv2d; 3],
    pool: Option<Pool>,
}

/// `conv3(relu(norm(conv0(x))))`, added to the input first (TAEF2).
#[derive(Debug)]
struct Pool {
    widen: Conv2d,
    norm: GroupNorm,
    narrow: Conv2d,
}

impl Block {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize, pool: bool) -> Result<Self, ModelError> {
        let conv = |n| Conv2d::new(wb, &format!("{path}.conv.{n}"), channels, channels, 3);
        let pool = pool.then(|| Pool::new(wb, &format!("{path}.pool"), channels));
        Ok(Self { convs: [conv(0)?, conv(2)?, conv(4)?], pool: pool.transpose()? })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let x = match &self.pool {
            Some(pool) => pool.forward(x.clone())? + x,
            None => x,
        };
        let [first, second, third] = &self.convs;
        let h = first.forward(x.clone())?.clamp_min(0.0);
        let h = second.forward(h)?.clamp_min(0.0);
        Ok((third.forward(h)? + x).clamp_min(0.0))
    }
}

impl Pool {
    fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize) -> Result<Self, ModelError> {
        let wide = channels * 4;
        Ok(Self {
            widen: Conv2d::without_bias(wb, &format!("{path}.0"), channels, wide, 1)?,
            norm: GroupNorm::new(wb, &format!("{path}.1"), 4, wide, 1e-5)?,
            narrow: Conv2d::without_bias(wb, &format!("{path}.3"), wide, channels, 1)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.norm.forward(self.widen.forward(x)?)?.clamp_min(0.0);
        self.narrow.forward(h)
    }
}
