//! Images of nothing.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::limits::MAX_SIDE;
use crate::payload::Image;
use crate::runtime::environment::CxExt;

/// Images of a single colour.
#[derive(Node)]
#[node(category = "image", aliases("blank", "solid", "colour"))]
pub struct EmptyImage {
    /// Width in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    width: usize,
    /// Height in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    height: usize,
    /// How many.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
    /// The colour as 0xRRGGBB.
    #[input(default = 0, min = 0, max = 0xff_ffff, step = 1, display = "color")]
    color: u32,
}

impl Execute for EmptyImage {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let environment = cx.environment()?;
        let channel = |shift: u32| f64::from((self.color >> shift) & 0xff) / 255.0;
        let plane =
            |shift| Tensor::full([self.batch_size, self.height, self.width, 1], channel(shift), environment.device());
        Ok(Image::new(Tensor::cat(vec![plane(16), plane(8), plane(0)], 3)))
    }
}
