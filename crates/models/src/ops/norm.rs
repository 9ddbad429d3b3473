//! Normalisations: over groups of channels, over the last axis, and over parts of it.

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

/// Root-mean-square normalisation over the last axis, or over each head of it where `gamma` is as long as a head:
/// `x / sqrt(mean(x²) + eps) · gamma`.
///
/// # Shapes
/// `x` `[..., heads · width]`, `gamma` `[width]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when element types do not fit together or `gamma` does not divide the last axis.
pub fn rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Result<Tensor<D>, OpError> {
    let check = Check("rms_norm");
    check.filled("x", &x)?;
    let [width] = gamma.dims();
    check.divides("gamma", width, x.dims()[D - 1])?;
    check.alike("gamma", &gamma, &x)?;
    let shape = x.dims();
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock_rms_norm(x, gamma, eps)),
    };
    let gamma = Flat::argument(check.0, gamma)?;
    let mut out = vec![0.0; x.as_slice().len()];
    kiln_kernels::rms_norm(Isa::best(), x.as_slice(), gamma.as_slice(), eps, &mut out)?;
    Ok(flat::tensor(out, shape))
}

pub(super) fn stock_rms_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, eps: f64) -> Tensor<D> {
    let (shape, [width]) = (x.dims(), gamma.dims());
    let rows = x.reshape([shape.iter().product::<usize>() / width, width]);
    let size = (rows.clone().square().mean_dim(1) + eps).sqrt();
    (rows / size * gamma.reshape([1, width])).reshape(shape)
}

/// Layer normalisation without weights, then a scale and a shift per sample: `(x - mean) / sqrt(variance + eps) · (1 +
/// scale) + shift`.
///
/// # Shapes
/// `x` `[batch, tokens, width]`, `shift` and `scale` `[batch, width]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn modulated_norm(x: Tensor<3>, shift: Tensor<2>, scale: Tensor<2>, eps: f64) -> Result<Tensor<3>, OpError> {
    let check = Check("modulated_norm");
    check.filled("x", &x)?;
    let [batch, tokens, width] = x.dims();
    for (name, vector) in [("shift", &shift), ("scale", &scale)] {
        check.shape(name, vector, [batch, width])?;
        check.alike(name, vector, &x)?;
    }
    let scale = scale + 1.0;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock_modulated_norm(x, shift, scale, eps)),
    };
    let (shift, scale) = (Flat::argument(check.0, shift)?, Flat::argument(check.0, scale)?);
    let mut out = vec![0.0; x.as_slice().len()];
    let vectors = scale.as_slice().chunks(width).zip(shift.as_slice().chunks(width));
    let samples = x.as_slice().chunks(tokens * width).zip(out.chunks_mut(tokens * width));
    for ((x, out), (scale, shift)) in samples.zip(vectors) {
        kiln_kernels::layer_norm(Isa::best(), x, scale, shift, eps, out)?;
    }
    Ok(flat::tensor(out, [batch, tokens, width]))
}

pub(super) fn stock_modulated_norm(x: Tensor<3>, shift: Tensor<2>, factor: Tensor<2>, eps: f64) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    centred / (variance + eps).sqrt() * factor.unsqueeze_dim(1) + shift.unsqueeze_dim(1)
}

/// `x + gate · y` with a gate per sample.
///
/// # Shapes
/// `x` and `y` `[batch, tokens, width]`, `gate` `[batch, width]`; returns the shape of `x`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn add_gated(x: Tensor<3>, y: Tensor<3>, gate: Tensor<2>) -> Result<Tensor<3>, OpError> {
    let check = Check("add_gated");
    check.filled("x", &x)?;
    let [batch, _, width] = x.dims();
    check.shape("y", &y, x.dims())?;
    check.alike("y", &y, &x)?;
    check.shape("gate", &gate, [batch, width])?;
    check.alike("gate", &gate, &x)?;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(x + y * gate.unsqueeze_dim(1)),
    };
    let (y, gate) = (Flat::argument(check.0, y)?, Flat::argument(check.0, gate)?);
    let mut done = Ok(());
    let sum = x.change(|x| done = kiln_kernels::add_gated(Isa::best(), x, y.as_slice(), gate.as_slice(), width));
    done?;
    Ok(sum)
}
