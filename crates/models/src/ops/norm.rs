//! Normalisations: over groups of channels, and over the last axis.

use burn::tensor::{Tensor, activation, module};

use super::{OpError, check::Check};

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
    Ok(stock_group_norm(x, gamma, beta, groups, eps, silu))
}

fn stock_group_norm(x: Tensor<4>, gamma: Tensor<1>, beta: Tensor<1>, groups: usize, eps: f64, silu: bool) -> Tensor<4> {
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
    Ok(module::layer_norm(x, gamma, Some(beta), eps))
}
