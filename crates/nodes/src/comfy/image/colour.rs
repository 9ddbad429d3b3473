//! Colours split, joined, and made noisy.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::random::TorchGenerator;

use crate::payload::Image;

/// Adds noise to images.
#[derive(Node)]
#[node(category = "image", module = "comfy_extras.nodes_images")]
pub struct ImageAddNoise {
    /// The images.
    image: Image,
    /// The same seed gives the same noise.
    #[input(default = 0, min = 0, max = u64::MAX, control_after_generate)]
    seed: u64,
    /// How strong it is.
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    strength: f32,
}

impl Execute for ImageAddNoise {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let pixels = self.image.pixels();
        let noise = TorchGenerator::new(self.seed).randn(self.image.dims().iter().product());
        let noise = Image::from_values(noise, self.image.dims(), &pixels.device())?.pixels();
        Ok(Image::new((pixels + noise * self.strength).clamp(0.0, 1.0)))
    }
}

/// Splits images into brightness and two differences of colour, each as a grey image.
#[derive(Node)]
#[node(unnamed, category = "image/batch", module = "comfy_extras.nodes_morphology", outputs("Y", "U", "V"))]
pub struct ImageRGBToYUV {
    /// The images.
    image: Image,
}

impl Execute for ImageRGBToYUV {
    type Output = (Image, Image, Image);

    fn execute(self, _: &mut Cx) -> Result<(Image, Image, Image), NodeError> {
        let rgb = self.image.rgb().planes();
        let [r, g, b] = [0, 1, 2].map(|c| rgb.clone().narrow(1, c, 1));
        let y = r.clone() * 0.299 + g * 0.587 + b.clone() * 0.114;
        let u = (b - y.clone()) * 0.564 + 0.5;
        let v = (r - y.clone()) * 0.713 + 0.5;
        let [y, u, v] = [y, u, v].map(|plane| Image::from_planes(plane.repeat_dim(1, 3)));
        Ok((y, u, v))
    }
}

/// Joins brightness and two differences of colour to images.
#[derive(Node)]
#[node(unnamed, category = "image/batch", module = "comfy_extras.nodes_morphology")]
pub struct ImageYUVToRGB {
    /// Brightness.
    #[input(name = "Y")]
    y: Image,
    /// The difference of blue.
    #[input(name = "U")]
    u: Image,
    /// The difference of red.
    #[input(name = "V")]
    v: Image,
}

impl Execute for ImageYUVToRGB {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let size = self.y.dims();
        if [&self.u, &self.v].iter().any(|plane| plane.dims()[..3] != size[..3]) {
            return Err(NodeError::new(format!(
                "`Y`, `U` and `V` must have one size, got {size:?}, {:?}, {:?}",
                self.u.dims(),
                self.v.dims()
            )));
        }
        let [y, u, v] = [self.y, self.u, self.v].map(|image| image.planes().mean_dim(1));
        let (u, v) = (u - 0.5, v - 0.5);
        let r = y.clone() + v.clone() * 1.403;
        let g = y.clone() - v * 0.714 - u.clone() * 0.344;
        let b = y + u * 1.773;
        Ok(Image::from_planes(Tensor::cat(vec![r, g, b], 1)))
    }
}
