//! Functions of one element, and the gate that multiplies by one.

use burn::tensor::{Tensor, activation, s};
use kiln_kernels::Isa;

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// `x · sigmoid(x)`, also called swish.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn silu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("silu").filled("x", &x)?;
    Ok(map(x, kiln_kernels::silu, activation::silu))
}

/// `x · Φ(x)` with the exact error function, torch's `gelu` without approximation.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("gelu").filled("x", &x)?;
    Ok(map(x, kiln_kernels::gelu, activation::gelu))
}

/// `x · sigmoid(1.702 x)`, the activation of OpenAI's CLIP.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("quick_gelu").filled("x", &x)?;
    Ok(map(x, kiln_kernels::quick_gelu, |x| x.clone() * activation::sigmoid(x * 1.702)))
}

/// GELU by tanh: `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`, torch's `approximate="tanh"`.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn gelu_tanh<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("gelu_tanh").filled("x", &x)?;
    Ok(map(x, kiln_kernels::gelu_tanh, stock_gelu_tanh))
}

pub(super) fn stock_gelu_tanh<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let slope = x.clone().square() * 0.071_354_816_3 + 1.595_769_121_6;
    x.clone() * activation::sigmoid(x * slope)
}

/// `silu(a) · b` where the last axis of `x` holds `a` and then `b`.
///
/// # Shapes
/// `x` `[batch, tokens, 2 · width]`; returns `[batch, tokens, width]`.
/// # Errors
/// [`OpError`] when the last axis is odd or an axis is empty.
pub fn swiglu(x: Tensor<3>) -> Result<Tensor<3>, OpError> {
    let check = Check("swiglu");
    check.filled("x", &x)?;
    let [batch, tokens, both] = x.dims();
    if !both.is_multiple_of(2) {
        return Err(check.shape_error("x", &x, format!("[{batch}, {tokens}, an even number]")));
    }
    let width = both / 2;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(activation::silu(x.clone().slice(s![.., .., ..width])) * x.slice(s![.., .., width..])),
    };
    let mut out = vec![0.0; batch * tokens * width];
    kiln_kernels::swiglu(Isa::best(), x.as_slice(), width, &mut out)?;
    Ok(flat::tensor(out, [batch, tokens, width]))
}

/// `silu(x) · factor`, element by element.
///
/// # Errors
/// [`OpError`] when shapes or element types differ, or an axis is empty.
pub fn silu_product<const D: usize>(x: Tensor<D>, factor: Tensor<D>) -> Result<Tensor<D>, OpError> {
    let check = Check("silu_product");
    check.filled("x", &x)?;
    check.shape("factor", &factor, x.dims())?;
    check.alike("factor", &factor, &x)?;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(activation::silu(x) * factor),
    };
    let factor = Flat::argument(check.0, factor)?;
    let mut done = Ok(());
    let y = x.change(|x| done = kiln_kernels::silu_product(Isa::best(), x, factor.as_slice()));
    done?;
    Ok(y)
}

/// `a · gelu(g)` where the last axis of `x` holds `a` and then `g`.
///
/// # Shapes
/// `x` `[batch, tokens, 2 · width]`; returns `[batch, tokens, width]`.
/// # Errors
/// [`OpError`] when the last axis is odd or an axis is empty.
pub fn geglu(x: Tensor<3>) -> Result<Tensor<3>, OpError> {
    let check = Check("geglu");
    check.filled("x", &x)?;
    let [batch, tokens, both] = x.dims();
    if !both.is_multiple_of(2) {
        return Err(check.shape_error("x", &x, format!("[{batch}, {tokens}, an even number]")));
    }
    let width = both / 2;
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(stock_geglu(x, width)),
    };
    let mut out = vec![0.0; batch * tokens * width];
    kiln_kernels::geglu(Isa::best(), x.as_slice(), width, &mut out)?;
    Ok(flat::tensor(out, [batch, tokens, width]))
}

pub(super) fn stock_geglu(x: Tensor<3>, width: usize) -> Tensor<3> {
    x.clone().slice(s![.., .., ..width]) * activation::gelu(x.slice(s![.., .., width..]))
}

/// `kernel` where the elements lie in this machine's memory, `stock` elsewhere.
fn map<const D: usize>(
    x: Tensor<D>,
    kernel: impl FnOnce(Isa, &mut [f32]),
    stock: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    match Flat::take(x) {
        Ok(x) => x.change(|x| kernel(Isa::best(), x)),
        Err(x) => stock(x),
    }
}

/// `x` where it is positive, `slope · x` elsewhere.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Result<Tensor<D>, OpError> {
    Check("leaky_relu").filled("x", &x)?;
    let kernel = |isa, x: &mut [f32]| kiln_kernels::leaky_relu(isa, x, slope as f32);
    Ok(map(x, kernel, |x| activation::leaky_relu(x, slope)))
}
