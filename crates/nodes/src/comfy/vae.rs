//! Nodes between images and latents.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError, NodeView};
use kiln_models::image::{Planes, grown};
use kiln_models::vae::Tiles;

use crate::comfy::image::resize::{Crop, Method, fit, repeat_to};
use crate::payload::{Image, Latent, Mask, Vae};
use crate::runtime::environment::CxExt;

crate::comfy::classes::classes! {
    VAEDecode, VAEEncode, VAEDecodeTiled, VAEEncodeTiled, VAEEncodeForInpaint,
}

/// Turns latents into images.
#[derive(Node)]
#[node(display_name = "VAE Decode", category = "latent")]
pub struct VAEDecode {
    /// The latents.
    samples: Latent,
    /// The autoencoder of their model.
    #[input(uses = one_per_latent)]
    vae: Vae,
}

/// One pass for each latent, where the node that made them says how many.
fn one_per_latent(node: NodeView<'_>) -> u32 {
    let batch = node.trace("samples", "batch_size").and_then(|empty| empty.number("batch_size"));
    u32::try_from(batch.unwrap_or(1)).unwrap_or(1).max(1)
}

impl Execute for VAEDecode {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        decoded(cx, &self.samples, &self.vae)
    }
}

/// The images of latents.
///
/// # Errors
/// Without latents, room or autoencoder; what the autoencoder reports; when the run was cancelled.
pub fn decoded(cx: &Cx, samples: &Latent, vae: &Vae) -> Result<Image, NodeError> {
    let latent = samples.tensor();
    let vae = vae.network()?;
    let ([_, _, height, width], scale) = (latent.dims(), vae.scale());
    let image = [height * scale, width * scale];
    // A video's frames are decoded together: each looks at its neighbours.
    let frames = if vae.decodes_together() { latent.dims()[0] } else { 1 };
    let _room = cx.room("decoding", vae.activations(image) * frames as u64, "VAEDecodeTiled takes less")?;
    if frames > 1 {
        return Ok(Image::new(vae.decode_image(latent)?));
    }
    // One by one: as fast, and a long batch needs no more memory than a short one.
    let mut images = Vec::new();
    for i in 0..latent.dims()[0] {
        cx.checkpoint()?;
        images.push(vae.decode_image(latent.clone().narrow(0, i, 1))?);
    }
    if images.is_empty() {
        return Err(NodeError::new("`samples` holds no latent"));
    }
    Ok(Image::new(Tensor::cat(images, 0)))
}

/// Turns images into latents.
#[derive(Node)]
#[node(display_name = "VAE Encode", category = "latent")]
pub struct VAEEncode {
    /// The images; sides are cut to multiples of 8.
    pixels: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
}

impl Execute for VAEEncode {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let pixels = self.pixels.rgb().pixels();
        let [_, height, width, _] = pixels.dims();
        let vae = self.vae.network()?;
        let bytes = vae.activations([height, width]);
        let _room = cx.room("encoding", bytes, "VAEEncodeTiled takes less")?;
        let mut latents = Vec::new();
        for i in 0..pixels.dims()[0] {
            cx.checkpoint()?;
            latents.push(vae.encode_image(pixels.clone().narrow(0, i, 1))?);
        }
        if latents.is_empty() {
            return Err(NodeError::new("`pixels` holds no image"));
        }
        Ok(Latent::new(Tensor::cat(latents, 0)))
    }
}

/// Turns latents into images tile by tile, which takes less memory.
#[derive(Node)]
#[node(display_name = "VAE Decode (Tiled)", category = "_for_testing")]
pub struct VAEDecodeTiled {
    /// The latents.
    samples: Latent,
    /// The autoencoder of their model.
    #[input(uses)]
    vae: Vae,
    /// Side of a tile in pixels.
    #[input(default = 512, min = 64, max = 4096, step = 32)]
    tile_size: usize,
    /// How far tiles overlap, in pixels.
    #[input(default = 64, min = 0, max = 4096, step = 32)]
    overlap: usize,
    /// Frames per tile, for video autoencoders.
    #[allow(dead_code, reason = "for video, which these autoencoders do not know")]
    #[input(default = 64, min = 8, max = 4096, step = 4)]
    temporal_size: usize,
    /// Frames of overlap, for video autoencoders.
    #[allow(dead_code, reason = "for video, which these autoencoders do not know")]
    #[input(default = 8, min = 4, max = 4096, step = 4)]
    temporal_overlap: usize,
}

impl Execute for VAEDecodeTiled {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let overlap = if self.tile_size < self.overlap * 4 { self.tile_size / 4 } else { self.overlap };
        let vae = self.vae.network()?;
        let scale = vae.scale();
        let tiles = Tiles::square(self.tile_size / scale, overlap / scale);
        Ok(Image::new(vae.decode_tiled(self.samples.tensor(), tiles)?))
    }
}

/// Turns images into latents tile by tile, which takes less memory.
#[derive(Node)]
#[node(display_name = "VAE Encode (Tiled)", category = "_for_testing")]
pub struct VAEEncodeTiled {
    /// The images.
    pixels: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// Side of a tile in pixels.
    #[input(default = 512, min = 64, max = 4096, step = 64)]
    tile_size: usize,
    /// How far tiles overlap, in pixels.
    #[input(default = 64, min = 0, max = 4096, step = 32)]
    overlap: usize,
    /// Frames per tile, for video autoencoders.
    #[allow(dead_code, reason = "for video, which these autoencoders do not know")]
    #[input(default = 64, min = 8, max = 4096, step = 4)]
    temporal_size: usize,
    /// Frames of overlap, for video autoencoders.
    #[allow(dead_code, reason = "for video, which these autoencoders do not know")]
    #[input(default = 8, min = 4, max = 4096, step = 4)]
    temporal_overlap: usize,
}

impl Execute for VAEEncodeTiled {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let tiles = Tiles::square(self.tile_size, self.overlap);
        Ok(Latent::new(self.vae.network()?.encode_tiled(self.pixels.rgb().pixels(), tiles)?))
    }
}

/// Turns images into latents with a hole to be filled, for models that were not trained to fill holes.
#[derive(Node)]
#[node(display_name = "VAE Encode (for Inpainting)", category = "latent/inpaint")]
pub struct VAEEncodeForInpaint {
    /// The images.
    pixels: Image,
    /// The autoencoder of the model.
    #[input(uses)]
    vae: Vae,
    /// White where the hole is.
    mask: Mask,
    /// By how many pixels the hole grows in the latent's mask.
    #[input(default = 6, min = 0, max = 64, step = 1)]
    grow_mask_by: usize,
}

impl Execute for VAEEncodeForInpaint {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let Cropped { pixels, mask } = Cropped::new(&self.pixels, &self.mask, &self.vae)?;
        let [batch, channels, height, width] = pixels.dims();
        let keep = repeat_to(mask.clone().round() * -1.0 + 1.0, batch).expand([batch, channels, height, width]);
        let hollow = (pixels - 0.5) * keep + 0.5;
        let device = mask.device();
        let grown = grown(&Planes::from_tensor(&mask)?, self.grow_mask_by).to_tensor(&device);
        Ok(Latent::new(encode(&self.vae, hollow)?).with_noise_mask(grown))
    }
}

/// An image and its mask in one size, cut evenly to multiples of the autoencoder's scale.
pub(crate) struct Cropped {
    /// `[B, 3, H, W]`.
    pub(crate) pixels: Tensor<4>,
    /// `[B, 1, H, W]`.
    pub(crate) mask: Tensor<4>,
}

impl Cropped {
    pub(crate) fn new(pixels: &Image, mask: &Mask, vae: &Vae) -> Result<Self, NodeError> {
        let [_, height, width, _] = pixels.dims();
        let scale = vae.network()?.scale();
        let (tall, wide) = (height / scale * scale, width / scale * scale);
        if tall == 0 || wide == 0 {
            return Err(NodeError::new(format!("an image of {width}x{height} is smaller than one cell of {scale}")));
        }
        let (top, left) = ((height - tall) / 2, (width - wide) / 2);
        let cut = |x: Tensor<4>| x.narrow(2, top, tall).narrow(3, left, wide);
        let mask = fit(mask.planes(), [height, width], Method::Bilinear, Crop::Disabled)?;
        Ok(Self { pixels: cut(pixels.rgb().planes()), mask: cut(mask) })
    }
}

/// `[B, 3, H, W]` through the encoder.
pub(crate) fn encode(vae: &Vae, planes: Tensor<4>) -> Result<Tensor<4>, NodeError> {
    Ok(vae.network()?.encode_image(planes.permute([0, 2, 3, 1]))?)
}
