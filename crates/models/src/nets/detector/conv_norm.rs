//! A convolution with its batch norm, as a detector has them everywhere.

use burn::tensor::{Device, Tensor};
use kiln_memory::Weight;

use crate::{error::ModelError, ops, weights::WeightBuilder};

/// ultralytics' batch norms, not torch's default.
const EPS: f64 = 1e-3;

/// A batch norm with measured statistics: one factor and one summand for each channel.
#[derive(Debug)]
pub(super) struct BatchNorm {
    weight: Weight,
    bias: Weight,
    mean: Weight,
    variance: Weight,
}

impl BatchNorm {
    /// Takes `{name}.weight`, `.bias`, `.running_mean` and `.running_var`, all `[channels]`.
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, channels: usize) -> Result<Self, ModelError> {
        let get = |end: &str| wb.get(&format!("{name}.{end}"), &[channels]);
        Ok(Self {
            weight: get("weight")?,
            bias: get("bias")?,
            mean: get("running_mean")?,
            variance: get("running_var")?,
        })
    }

    /// What each channel is multiplied by, and what is added then.
    pub(super) fn factors(&self, device: &Device) -> Result<[Tensor<1>; 2], ModelError> {
        let get = |weight: &Weight| Ok::<_, ModelError>(weight.acquire::<1>(device)?.tensor());
        let factor = get(&self.weight)? / (get(&self.variance)? + EPS).sqrt();
        let summand = get(&self.bias)? - get(&self.mean)? * factor.clone();
        Ok([factor, summand])
    }
}

/// What follows the products of a convolution.
#[derive(Debug)]
enum Shift {
    Norm(BatchNorm),
    /// The norm was folded into the weights before the file was saved.
    Bias(Weight),
}

/// Sides, strides and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) fused: bool,
}

/// Convolution, batch norm and, unless it is left out, SiLU.
#[derive(Debug)]
pub(super) struct ConvNorm {
    weight: Weight,
    shift: Shift,
    shape: ConvShape,
    silu: bool,
}

impl ConvNorm {
    /// Takes `{name}.conv.weight` and `{name}.bn.*`, or `{name}.conv.bias` of a file without norms.
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, shape: ConvShape) -> Result<Self, ModelError> {
        let ConvShape { inputs, outputs, kernel, fused, .. } = shape;
        let weight = wb.get(&format!("{name}.conv.weight"), &[outputs, inputs, kernel, kernel])?;
        let shift = if fused {
            Shift::Bias(wb.get(&format!("{name}.conv.bias"), &[outputs])?)
        } else {
            Shift::Norm(BatchNorm::new(wb, &format!("{name}.bn"), outputs)?)
        };
        Ok(Self { weight, shift, shape, silu: true })
    }

    /// This convolution without its SiLU.
    pub(super) fn linear(self) -> Self {
        Self { silu: false, ..self }
    }

    /// # Shapes
    /// `[1, inputs, h, w]` to `[1, outputs, h / stride, w / stride]`.
    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let (device, ConvShape { outputs, kernel, stride, .. }) = (x.device(), self.shape);
        let weight = self.weight.acquire::<4>(&device)?.tensor();
        let (weight, bias) = match &self.shift {
            Shift::Bias(bias) => (weight, bias.acquire::<1>(&device)?.tensor()),
            Shift::Norm(norm) => {
                let [factor, summand] = norm.factors(&device)?;
                (weight * factor.reshape([outputs, 1, 1, 1]), summand)
            }
        };
        let y = ops::conv2d(x, weight, Some(bias), stride, kernel / 2)?;
        Ok(if self.silu { ops::silu(y)? } else { y })
    }
}
