//! Images mixed and put onto each other.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::batch::same_channels;
use super::limits::MAX_SIDE;
use crate::comfy::image::composite::{Paste, paste};
use crate::comfy::image::resize::{Crop, Method, fit, repeat_to};
use crate::payload::{Image, Mask};

/// Mixes two images.
#[derive(Node)]
#[node(unnamed, category = "image/postprocessing", module = "comfy_extras.nodes_post_processing")]
pub struct ImageBlend {
    /// The lower image.
    image1: Image,
    /// The upper image, resized if need be.
    image2: Image,
    /// The share of the mixture; the rest is the lower image.
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    blend_factor: f32,
    /// How colours mix.
    #[input(
        options = ["normal", "multiply", "screen", "overlay", "soft_light", "difference"],
        option("multiselect" = false)
    )]
    blend_mode: String,
}

impl Execute for ImageBlend {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let (first, second) = same_channels(&self.image1, &self.image2);
        let [batch, height, width, _] = first.dims();
        let upper = fit(second.planes(), [height, width], Method::Bicubic, Crop::Center)?;
        let (a, b) = (first.planes(), repeat_to(upper, batch));
        let mixed = mix(&self.blend_mode, a.clone(), b)?;
        let blended = a * (1.0 - self.blend_factor) + mixed * self.blend_factor;
        Ok(Image::from_planes(blended.clamp(0.0, 1.0)))
    }
}

fn inverse(x: Tensor<4>) -> Tensor<4> {
    x * -1.0 + 1.0
}

fn mix(mode: &str, a: Tensor<4>, b: Tensor<4>) -> Result<Tensor<4>, NodeError> {
    Ok(match mode {
        "normal" => b,
        "multiply" => a * b,
        "screen" => inverse(inverse(a) * inverse(b)),
        "overlay" => {
            let dark = a.clone() * b.clone() * 2.0;
            let light = inverse(inverse(a.clone()) * inverse(b) * 2.0);
            light.mask_where(a.lower_equal_elem(0.5), dark)
        }
        "soft_light" => {
            let dark = a.clone() - inverse(b.clone() * 2.0) * a.clone() * inverse(a.clone());
            let light = a.clone() + (b.clone() * 2.0 - 1.0) * (lightened(a.clone()) - a);
            light.mask_where(b.lower_equal_elem(0.5), dark)
        }
        "difference" => a - b,
        other => return Err(NodeError::new(format!("`blend_mode` is `{other}`, which does not exist"))),
    })
}

/// The W3C's soft-light curve.
fn lightened(x: Tensor<4>) -> Tensor<4> {
    let low = ((x.clone() * 16.0 - 12.0) * x.clone() + 4.0) * x.clone();
    x.clone().clamp_min(0.0).sqrt().mask_where(x.lower_equal_elem(0.25), low)
}

/// Puts one image onto another through a mask.
#[derive(Node)]
#[node(category = "image", module = "comfy_extras.nodes_mask", aliases("overlay", "paste"))]
pub struct ImageCompositeMasked {
    /// The lower image.
    destination: Image,
    /// The upper image.
    source: Image,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    x: usize,
    /// Its upper side in pixels.
    #[input(default = 0, min = 0, max = MAX_SIDE, step = 1)]
    y: usize,
    /// Whether to give the upper image the lower one's size first.
    #[input(default = false)]
    resize_source: bool,
    /// Where the upper image shows.
    mask: Option<Mask>,
}

impl Execute for ImageCompositeMasked {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let (lower, upper) = same_channels(&self.destination, &self.source);
        let placed = Paste { x: self.x, y: self.y, resize: self.resize_source };
        let mixed = paste(lower.planes(), upper.planes(), self.mask.as_ref().map(Mask::planes), &placed)?;
        Ok(Image::from_planes(mixed))
    }
}
