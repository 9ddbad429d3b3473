//! Masks from images and back, and masks of one value.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::{Image, Mask};
use crate::runtime::environment::CxExt;

/// A mask as a grey image.
#[derive(Node)]
#[node(display_name = "Convert Mask to Image", category = "mask", module = "comfy_extras.nodes_mask")]
pub struct MaskToImage {
    /// The mask.
    mask: Mask,
}

impl Execute for MaskToImage {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::from_planes(self.mask.planes().repeat_dim(1, 3)))
    }
}

/// One channel of an image as a mask.
#[derive(Node)]
#[node(display_name = "Convert Image to Mask", category = "mask", module = "comfy_extras.nodes_mask")]
pub struct ImageToMask {
    /// The image.
    image: Image,
    /// The channel.
    #[input(combo = ["red", "green", "blue", "alpha"])]
    channel: String,
}

impl Execute for ImageToMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        let channels = self.image.dims()[3];
        let at = ["red", "green", "blue", "alpha"].iter().position(|c| *c == self.channel).unwrap_or(0);
        if at >= channels {
            return Err(NodeError::new(format!(
                "`image` has {channels} channels and none called `{}`; LoadImage gives an image's opacity as its mask",
                self.channel
            )));
        }
        Ok(Mask::from_planes(self.image.planes().narrow(1, at, 1)))
    }
}

/// A mask of all pixels that have exactly one colour.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct ImageColorToMask {
    /// The image.
    image: Image,
    /// The colour as 0xRRGGBB.
    #[input(default = 0, min = 0, max = 0xff_ffff, step = 1, display = "color")]
    color: u32,
}

impl Execute for ImageColorToMask {
    type Output = Mask;

    fn execute(self, _: &mut Cx) -> Result<Mask, NodeError> {
        let rgb = self.image.rgb();
        let [batch, height, width, _] = rgb.dims();
        let byte = |v: f32| (v.clamp(0.0, 1.0) * 255.0).round_ties_even() as u32;
        let is_it = |p: &[f32]| f32::from(byte(p[0]) << 16 | byte(p[1]) << 8 | byte(p[2]) == self.color);
        let values = rgb.values()?.chunks_exact(3).map(is_it).collect();
        Mask::from_values(values, [batch, height, width], &rgb.pixels().device())
    }
}

/// A mask of one value.
#[derive(Node)]
#[node(category = "mask", module = "comfy_extras.nodes_mask")]
pub struct SolidMask {
    /// The value everywhere.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.01)]
    value: f64,
    /// Width in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    width: usize,
    /// Height in pixels.
    #[input(default = 512, min = 1, max = MAX_SIDE, step = 1)]
    height: usize,
}

impl Execute for SolidMask {
    type Output = Mask;

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        Ok(Mask::new(Tensor::full([1, self.height, self.width], self.value, cx.environment()?.device())))
    }
}
