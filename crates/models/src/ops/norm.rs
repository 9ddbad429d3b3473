//! Normalisations: over groups of channels, and over the last axis.

use burn::tensor::{Tensor, activation, module};
use kiln_kernels::{GroupNorm, Isa};

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// Group normalisation, `(x - mean) / sqrt(variance + eps) · gamma + beta` with mean and (biased) variance over each
/// group of channels of a sample, followed by SiLU when `silu` is set.
///
/// # Shapes
/// `x` `[batch, channels, height, width]`, `gamma` and `beta` `[channels]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together or `groups` does not divide the channels.
pub fn group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Result<Tensor<4>, OpError> {
    let check = Check("group_norm");
    check.filled("x", &x)?;
    let channels = x.dims()[1];
    check.vector("gamma", &gamma, channels, &x)?;
    check.vector("beta", &beta, channels, &x)?;
    check.divides("groups", groups, channels)?;
    let shape = x.dims();
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock_group_norm(x, gamma, beta, groups, eps, silu)),
    };
    let sizes = GroupNorm { channels, pixels: shape[2] * shape[3], groups, eps, silu };
    let (gamma, beta) = (Flat::argument(check.0, gamma)?, Flat::argument(check.0, beta)?);
    let mut out = vec![0.0; x.as_slice().len()];
    kiln_kernels::group_norm(Isa::best(), sizes, x.as_slice(), gamma.as_slice(), beta.as_slice(), &mut out)?;
    Ok(flat::tensor(out, shape))
}

pub(super) fn stock_group_norm(
    x: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Tensor<4> {
    let shape = x.dims();
    let [batch, channels, height, width] = shape;
    let rows = x.reshape([batch * groups, channels / groups * height * width]);
    let centred = rows.clone() - rows.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    let normal = (centred / (variance + eps).sqrt()).reshape(shape);
    let y = normal * gamma.reshape([1, channels, 1, 1]) + beta.reshape([1, channels, 1, 1]);
    if silu { activation::silu(y) } else { y }
}

/// Layer normalisation over the last axis: `(x - mean) / sqrt(variance + eps) · gamma + beta`, biased variance.
///
/// # Shapes
/// `x` `[batch, tokens, width]`, `gamma` and `beta` `[width]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Result<Tensor<3>, OpError> {
    let check = Check("layer_norm");
    check.filled("x", &x)?;
    let width = x.dims()[2];
    check.vector("gamma", &gamma, width, &x)?;
    check.vector("beta", &beta, width, &x)?;
    let shape = x.dims();
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(module::layer_norm(x, gamma, Some(beta), eps)),
    };
    let (gamma, beta) = (Flat::argument(check.0, gamma)?, Flat::argument(check.0, beta)?);
    let mut out = vec![0.0; x.as_slice().len()];
    kiln_kernels::layer_norm(Isa::best(), x.as_slice(), gamma.as_slice(), beta.as_slice(), eps, &mut out)?;
    Ok(flat::tensor(out, shape))
}
