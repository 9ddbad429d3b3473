//! The blocks of a T2I-Adapter's levels.

use burn::tensor::{Tensor, activation};

use crate::{error::ModelError, nets::layers::Conv2d, weights::WeightBuilder};

/// How a map is halved.
#[derive(Debug)]
pub(super) enum Halving {
    Conv(Conv2d),
    Mean,
}

impl Halving {
    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Mean => Ok(mean(x)),
        }
    }
}

/// Means over squares of two by two; an odd row or column at the end is left out.
fn mean(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / 2, width / 2);
    let x = x.slice([0..batch, 0..channels, 0..rows * 2, 0..columns * 2]);
    let squares = x.reshape([batch, channels, rows, 2, columns, 2]);
    squares.mean_dim(3).mean_dim(5).reshape([batch, channels, rows, columns])
}

/// `conv(relu(conv(x))) + x`, `x` halved and brought to its width first.
#[derive(Debug)]
pub(super) struct Residual {
    halving: Option<Halving>,
    entrance: Option<Conv2d>,
    first: Conv2d,
    second: Conv2d,
}

/// What a residual block is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Side of the kernel of every convolution but the first.
    pub(super) kernel: usize,
    /// Whether it halves the map, and whether by a convolution.
    pub(super) halves: Option<bool>,
}

impl Residual {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, shape: Shape) -> Result<Self, ModelError> {
        let Shape { inputs, outputs, kernel, halves } = shape;
        let name = |end: &str| format!("{path}.{end}");
        let conv = |end: &str, from, side| Conv2d::new(wb, &name(end), from, outputs, side);
        let by_conv = || Ok::<_, ModelError>(Conv2d::new(wb, &name("down_opt.op"), inputs, inputs, 3)?.with_stride(2));
        Ok(Self {
            halving: halves
                .map(|conv| if conv { by_conv().map(Halving::Conv) } else { Ok(Halving::Mean) })
                .transpose()?,
            entrance: (inputs != outputs).then(|| conv("in_conv", inputs, kernel)).transpose()?,
            first: conv("block1", outputs, 3)?,
            second: conv("block2", outputs, kernel)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let x = self.halving.as_ref().map_or(Ok(x.clone()), |halving| halving.forward(x))?;
        let x = self.entrance.as_ref().map_or(Ok(x.clone()), |conv| conv.forward(x))?;
        let h = self.second.forward(activation::relu(self.first.forward(x.clone())?))?;
        Ok(h + x)
    }
}

/// A level of the light kind: narrow blocks between two projections.
#[derive(Debug)]
pub(super) struct Extractor {
    halves: bool,
    entrance: Conv2d,
    blocks: Vec<Residual>,
    exit: Conv2d,
}

impl Extractor {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        [inputs, outputs]: [usize; 2],
        blocks: usize,
        halves: bool,
    ) -> Result<Self, ModelError> {
        let inner = outputs / 4;
        let shape = Shape { inputs: inner, outputs: inner, kernel: 3, halves: None };
        Ok(Self {
            halves,
            entrance: Conv2d::new(wb, &format!("{path}.in_conv"), inputs, inner, 1)?,
            blocks: (0..blocks)
                .map(|n| Residual::new(wb, &format!("{path}.body.{n}"), shape))
                .collect::<Result<_, _>>()?,
            exit: Conv2d::new(wb, &format!("{path}.out_conv"), inner, outputs, 1)?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let x = if self.halves { mean(x) } else { x };
        let h = self.blocks.iter().try_fold(self.entrance.forward(x)?, |h, block| block.forward(h))?;
        self.exit.forward(h)
    }
}
