//! Functions of one element, and the gate that multiplies by one.

use burn::tensor::{Tensor, activation, s};

use super::{OpError, check::Check};

/// `x · sigmoid(x)`, also called swish.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn silu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("silu").filled("x", &x)?;
    Ok(activation::silu(x))
}

/// `x · Φ(x)` with the exact error function, torch's `gelu` without approximation.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("gelu").filled("x", &x)?;
    Ok(activation::gelu(x))
}

/// `x · sigmoid(1.702 x)`, the activation of OpenAI's CLIP.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("quick_gelu").filled("x", &x)?;
    Ok(x.clone() * activation::sigmoid(x * 1.702))
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
        return Err(check.misfit("x", &x, format!("[{batch}, {tokens}, an even number]")));
    }
    let value = x.clone().slice(s![.., .., ..both / 2]);
    Ok(value * activation::gelu(x.slice(s![.., .., both / 2..])))
}

/// `x` where it is positive, `slope · x` elsewhere.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Result<Tensor<D>, OpError> {
    Check("leaky_relu").filled("x", &x)?;
    Ok(activation::leaky_relu(x, slope))
}
