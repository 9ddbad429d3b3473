//! Linear layers: `x · weightᵀ + bias`, with the weight as torch stores it.

use burn::tensor::{Tensor, module};

use super::{OpError, check::Check};

/// `x · weightᵀ + bias` over the last axis.
///
/// # Shapes
/// `x` `[batch, tokens, in]`, `weight` `[out, in]` (torch's order), `bias` `[out]`; returns `[batch, tokens, out]`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn linear(x: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Result<Tensor<3>, OpError> {
    apply("linear", x, weight, bias)
}

/// [`linear`] for one row per sample, such as a time embedding.
///
/// # Shapes
/// `x` `[rows, in]`, `weight` `[out, in]`, `bias` `[out]`; returns `[rows, out]`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together.
pub fn linear2(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Result<Tensor<2>, OpError> {
    apply("linear2", x, weight, bias)
}

fn apply<const D: usize>(
    op: &'static str,
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Result<Tensor<D>, OpError> {
    let check = Check(op);
    check.filled("x", &x)?;
    check.filled("weight", &weight)?;
    let (inputs, [outputs, columns]) = (x.dims()[D - 1], weight.dims());
    if columns != inputs {
        return Err(check.misfit("weight", &weight, format!("[out, {inputs}]")));
    }
    check.alike("weight", &weight, &x)?;
    if let Some(bias) = &bias {
        check.vector("bias", bias, outputs, &x)?;
    }
    Ok(module::linear(x, weight.transpose(), bias))
}
