//! Opacity joined to images and split off them.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use crate::comfy::image::resize::{Crop, Method, fit, repeat_to};
use crate::payload::{Image, Mask};

/// Makes images transparent where a mask is white.
#[derive(Node)]
#[node(
    display_name = "Join Image with Alpha",
    category = "mask/compositing",
    module = "comfy_extras.nodes_compositing"
)]
pub struct JoinImageWithAlpha {
    /// The images.
    image: Image,
    /// White where they become transparent; resized if need be.
    alpha: Mask,
}

impl Execute for JoinImageWithAlpha {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [batch, height, width, _] = self.image.dims();
        let mask = fit(self.alpha.planes(), [height, width], Method::Bilinear, Crop::Disabled)?;
        let opacity = repeat_to(mask, batch) * -1.0 + 1.0;
        Ok(Image::from_planes(Tensor::cat(vec![self.image.rgb().planes(), opacity], 1)))
    }
}

/// Splits images into colours and transparency.
#[derive(Node)]
#[node(
    display_name = "Split Image with Alpha",
    category = "mask/compositing",
    module = "comfy_extras.nodes_compositing"
)]
pub struct SplitImageWithAlpha {
    /// The images.
    image: Image,
}

impl Execute for SplitImageWithAlpha {
    type Output = (Image, Mask);

    fn execute(self, _: &mut Cx) -> Result<(Image, Mask), NodeError> {
        let [batch, height, width, channels] = self.image.dims();
        let planes = self.image.planes();
        let mask = if channels > 3 {
            planes.narrow(1, 3, 1) * -1.0 + 1.0
        } else {
            Tensor::zeros([batch, 1, height, width], &planes.device())
        };
        Ok((self.image.rgb(), Mask::from_planes(mask)))
    }
}
