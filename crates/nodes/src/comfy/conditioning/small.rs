//! Conditions that carry a small image to be made large.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::LowRes;

use crate::comfy::image::resize::{Crop, Method, resize};
use crate::payload::{Conditioning, Image, Latent};

/// Pixels of the result on each side of a latent cell, and of the small image.
const CELL: usize = 4;

/// Gives small images to Stable Diffusion's x4 upscaler.
#[derive(Node)]
#[node(
    unnamed,
    class = "SD_4XUpscale_Conditioning",
    category = "conditioning/upscale_diffusion",
    module = "comfy_extras.nodes_sdupscale",
    outputs("positive", "negative", "latent")
)]
pub struct Sd4xUpscaleConditioning {
    /// The images.
    images: Image,
    /// What to draw.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// How much larger the result is on each side.
    #[input(default = 4.0, min = 0.0, max = 10.0, step = 0.01)]
    scale_ratio: f64,
    /// How much noise the images are taken with: more noise, more is drawn anew.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    noise_augmentation: f64,
}

impl Execute for Sd4xUpscaleConditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let [batch, height, width, _] = self.images.dims();
        let cells = |side: usize| (side as f64 * self.scale_ratio).round_ties_even().max(1.0) as usize / CELL;
        let (rows, columns) = (cells(height), cells(width));
        if batch * rows * columns == 0 {
            return Err(NodeError::new(format!(
                "{batch} `images` of {width}x{height} times `scale_ratio` {} leave no cell of {CELL} pixels",
                self.scale_ratio
            )));
        }
        let pixels = self.images.rgb().planes() * 2.0 - 1.0;
        let device = pixels.device();
        let image = resize(pixels, [rows, columns], Method::Bilinear, Crop::Center)?;
        let low_res = LowRes { image, noise: self.noise_augmentation };
        let with = |c: &Conditioning| Conditioning::new(c.0.set_low_res(&low_res));
        let latent = Latent::new(Tensor::zeros([batch, 4, rows, columns], &device));
        Ok((with(&self.positive), with(&self.negative), latent))
    }
}
