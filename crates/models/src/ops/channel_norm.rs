//! Normalisation of each place of a map by the length of its vector of channels.

use burn::tensor::{Tensor, activation};
use kiln_kernels::{ChannelNorm, Isa};

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// `x / max(‖x‖, 1e-12) · sqrt(channels) · gamma`, the length over the channels of each place, followed by SiLU when `silu`
/// is set.
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, `gamma` `[channels]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn channel_norm(x: Tensor<4>, gamma: Tensor<1>, silu: bool) -> Result<Tensor<4>, OpError> {
    let check = Check("channel_norm");
    check.filled("x", &x)?;
    let shape = x.dims();
    let [_, channels, height, width] = shape;
    check.vector("gamma", &gamma, channels, &x)?;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock_channel_norm(x, gamma, silu)),
    };
    let sizes = ChannelNorm { channels, pixels: height * width };
    let gamma = Flat::argument(check.0, gamma)?;
    let mut out = vec![0.0; x.as_slice().len()];
    kiln_kernels::channel_norm(Isa::best(), sizes, x.as_slice(), gamma.as_slice(), &mut out)?;
    if silu {
        kiln_kernels::silu(Isa::best(), &mut out);
    }
    Ok(flat::tensor(out, shape))
}

pub(super) fn stock_channel_norm(x: Tensor<4>, gamma: Tensor<1>, silu: bool) -> Tensor<4> {
    let channels = x.dims()[1];
    let length = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    let y = x / length * (channels as f64).sqrt() * gamma.reshape([1, channels, 1, 1]);
    if silu { activation::silu(y) } else { y }
}
