//! Two-dimensional convolution, NCHW, weights as torch stores them.

use burn::tensor::{Tensor, module, ops::PaddedConvOptions};
use kiln_kernels::{Conv, Isa, Winograd};

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// Rows and columns of zeros around an image. Sides have names because every library orders them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl From<usize> for Padding {
    /// The same number on all four sides.
    fn from(side: usize) -> Self {
        Self { top: side, bottom: side, left: side, right: side }
    }
}

/// Convolution (cross-correlation, as in torch) with a square stride.
///
/// # Shapes
/// `x` `[batch, in, height, width]`, `weight` `[out, in, kernel height, kernel width]`, `bias` `[out]`; returns
/// `[batch, out, (height + top + bottom - kernel height) / stride + 1, (width + left + right - kernel width) / stride + 1]`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together, the stride is 0 or the kernel is larger than the
/// padded image.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: impl Into<Padding>,
) -> Result<Tensor<4>, OpError> {
    let padding = padding.into();
    check(&x, &weight, bias.as_ref(), stride, padding)?;
    let sizes = sizes(&x, &weight, stride, padding);
    match Flat::take(x) {
        Ok(x) => on_cpu(sizes, &x, weight, bias),
        Err(x) => Ok(stock(x, weight, bias, stride, padding)),
    }
}

fn sizes(x: &Tensor<4>, weight: &Tensor<4>, stride: usize, padding: Padding) -> Conv {
    let ([batch, inputs, height, width], [outputs, _, rows, columns]) = (x.dims(), weight.dims());
    let Padding { top, bottom, left, right } = padding;
    let padding = [top, bottom, left, right];
    Conv { batch, inputs, outputs, image: [height, width], kernel: [rows, columns], stride, padding }
}

fn on_cpu(sizes: Conv, x: &Flat, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Result<Tensor<4>, OpError> {
    let op = "conv2d";
    let weight = Flat::argument(op, weight)?;
    let bias = bias.map(|bias| Flat::argument(op, bias)).transpose()?;
    let bias = bias.as_ref().map_or(&[][..], Flat::as_slice);
    let [height, width] = sizes.output();
    let mut out = vec![0.0; sizes.batch * sizes.outputs * height * width];
    match winograd_pays(sizes) {
        Some(sizes) => {
            kiln_kernels::winograd(Isa::best(), sizes, x.as_slice(), weight.as_slice(), bias, &mut out)?;
        }
        None => kiln_kernels::conv2d(Isa::best(), sizes, x.as_slice(), weight.as_slice(), bias, &mut out)?,
    }
    Ok(flat::tensor(out, [sizes.batch, sizes.outputs, height, width]))
}

/// The sizes for Winograd's way, where its transforms cost less than the products they save. With few channels they do
/// not, and with few tiles most lanes hold none. Narrow networks on small maps are fast either way, and direct sums
/// keep a digit more: their first denoised image carries the network's rounding times a sigma of 14.6.
fn winograd_pays(sizes: Conv) -> Option<Winograd> {
    let Conv { batch, inputs, outputs, image, kernel, stride, padding } = sizes;
    let winograd = Winograd { batch, inputs, outputs, image, padding };
    let wide = inputs >= 160 || winograd.tiles() > 1024;
    let pays = wide && inputs >= 16 && outputs >= 16 && winograd.tiles() >= 4;
    (kernel == [3, 3] && stride == 1 && pays).then_some(winograd)
}

fn check(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    stride: usize,
    padding: Padding,
) -> Result<(), OpError> {
    let check = Check("conv2d");
    check.filled("x", x)?;
    check.filled("weight", weight)?;
    let ([_, inputs, height, width], [outputs, columns, kernel_height, kernel_width]) = (x.dims(), weight.dims());
    if columns != inputs {
        return Err(check.shape_error("weight", weight, format!("[out, {inputs}, height, width]")));
    }
    check.alike("weight", weight, x)?;
    if let Some(bias) = bias {
        check.vector("bias", bias, outputs, x)?;
    }
    if stride == 0 {
        return Err(check.argument("stride", "at least 1", stride));
    }
    let padded = [height + padding.top + padding.bottom, width + padding.left + padding.right];
    if kernel_height > padded[0] || kernel_width > padded[1] {
        return Err(check.shape_error("weight", weight, format!("at most {padded:?} high and wide, the padded image")));
    }
    Ok(())
}

pub(super) fn stock(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: usize,
    padding: Padding,
) -> Tensor<4> {
    let (start, end) = ([padding.top, padding.left], [padding.bottom, padding.right]);
    let options = PaddedConvOptions::asymmetric([stride; 2], start, end, [1; 2], 1);
    module::conv2d(x, weight, bias, options)
}
