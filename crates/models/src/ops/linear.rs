//! Linear layers: `x · weightᵀ + bias`, with the weight as torch stores it.

use burn::tensor::{Tensor, module};
use kiln_kernels::Isa;

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

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
        return Err(check.shape_error("weight", &weight, format!("[out, {inputs}]")));
    }
    check.alike("weight", &weight, &x)?;
    if let Some(bias) = &bias {
        check.vector("bias", bias, outputs, &x)?;
    }
    let mut shape = x.dims();
    let x = match Flat::take(x) {
        Ok(x) => x,
        Err(x) => return Ok(module::linear(x, weight.transpose(), bias)),
    };
    let weight = Flat::argument(op, weight)?;
    let bias = bias.map(|bias| Flat::argument(op, bias)).transpose()?;
    let bias = bias.as_ref().map_or(&[][..], Flat::as_slice);
    let mut out = vec![0.0; x.as_slice().len() / inputs * outputs];
    kiln_kernels::linear(Isa::best(), inputs, x.as_slice(), weight.as_slice(), bias, &mut out)?;
    shape[D - 1] = outputs;
    Ok(flat::tensor(out, shape))
}
