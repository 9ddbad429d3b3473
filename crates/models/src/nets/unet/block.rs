//! Blocks of the UNet as lists of units, and a pass through them.

use burn::tensor::Tensor;

use super::pass::Pass;
use super::{residual::Residual, transformer::SpatialTransformer};
use crate::{error::ModelError, nets::layers::Conv2d, ops};

/// A step of a block.
#[derive(Debug)]
pub(crate) enum Unit {
    Conv { path: String, conv: Conv2d },
    Residual(Residual),
    Transformer(SpatialTransformer),
    Down { path: String, conv: Conv2d },
    Up { path: String, conv: Conv2d },
}

impl Pass<'_> {
    /// Runs the units of a block. `next` is the size of the skip that comes after it: an upsampler's target.
    pub(crate) fn through(
        &self,
        block: &[Unit],
        x: Tensor<4>,
        next: Option<[usize; 2]>,
    ) -> Result<Tensor<4>, ModelError> {
        block.iter().try_fold(x, |h, unit| self.unit(unit, h, next))
    }

    fn unit(&self, unit: &Unit, h: Tensor<4>, next: Option<[usize; 2]>) -> Result<Tensor<4>, ModelError> {
        match unit {
            Unit::Residual(block) => block.forward(h, &self.embed, self.frames, self.tap),
            Unit::Transformer(transformer) => transformer.forward(h, self),
            Unit::Conv { path, conv } | Unit::Down { path, conv } => {
                let h = conv.forward(h)?;
                self.tap.record(path, &h);
                Ok(h)
            }
            Unit::Up { path, conv } => {
                let [_, _, height, width] = h.dims();
                let [height, width] = next.unwrap_or([height * 2, width * 2]);
                let h = conv.forward(ops::upsample_nearest(h, height, width)?)?;
                self.tap.record(path, &h);
                Ok(h)
            }
        }
    }
}
