//! Conditions that carry an image to work on.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::conditioning::Concat;

use crate::comfy::vae::{Cropped, encode};
use crate::payload::{Conditioning, Image, Latent, Mask, Vae};

/// Gives an image and a mask to a model that was trained to fill holes.
#[derive(Node)]
#[node(category = "conditioning/inpaint", outputs("positive", "negative", "latent"))]
pub struct InpaintModelConditioning {
    /// What to draw.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// The image.
    pixels: Image,
    /// White where it is to be drawn anew.
    mask: Mask,
    /// Whether only the masked part may change at all.
    #[input(default = true)]
    noise_mask: bool,
}

impl Execute for InpaintModelConditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let Cropped { pixels, mask } = Cropped::new(&self.pixels, &self.mask, &self.vae)?;
        let rounded = mask.clone().round();
        let [_, _, height, width] = pixels.dims();
        let keep = rounded.clone() * -1.0 + 1.0;
        let keep = crate::comfy::image::resize::repeat_to(keep, pixels.dims()[0]);
        let hidden = (pixels.clone() - 0.5) * keep.expand([pixels.dims()[0], pixels.dims()[1], height, width]) + 0.5;
        let concat = Concat { latent: encode(&self.vae, hidden)?, mask: Some(mask.clone()) };
        let latent = Latent::new(encode(&self.vae, pixels)?);
        let latent = if self.noise_mask { latent.with_noise_mask(mask) } else { latent };
        let with = |c: &Conditioning| Conditioning::new(c.0.set_concat(&concat));
        Ok((with(&self.positive), with(&self.negative), latent))
    }
}

/// Gives an image to a model that was trained to change images by instructions.
#[derive(Node)]
#[node(
    unnamed,
    category = "conditioning/instructpix2pix",
    module = "comfy_extras.nodes_ip2p",
    outputs("positive", "negative", "latent")
)]
pub struct InstructPixToPixConditioning {
    /// The instruction.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// The image.
    pixels: Image,
}

impl Execute for InstructPixToPixConditioning {
    type Output = (Conditioning, Conditioning, Latent);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning, Latent), NodeError> {
        let concat = Concat { latent: self.vae.network()?.encode_image(self.pixels.rgb().pixels())?, mask: None };
        let empty = Latent::new(Tensor::zeros_like(&concat.latent));
        let with = |c: &Conditioning| Conditioning::new(c.0.set_concat(&concat));
        Ok((with(&self.positive), with(&self.negative), empty))
    }
}
