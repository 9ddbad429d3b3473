//! Latents of Stable Cascade: small ones that its first stage draws, and larger ones that its second stage draws after them.

use kiln_exec::{Cx, Execute, Node, NodeError};

use super::empty::empty;
use crate::comfy::image::limits::MAX_SIDE;
use crate::comfy::image::resize::{Crop, Method, fit};
use crate::comfy::vae::encode;
use crate::payload::{Image, Latent, Vae};
use crate::runtime::environment::CxExt;

/// Channels of the first stage's latents.
const STAGE_C: usize = 16;
/// Channels of the second stage's latents, whose cells have four pixels a side.
const STAGE_B: usize = 4;

/// Empty latents for both stages of Stable Cascade.
#[derive(Node)]
#[node(
    unnamed,
    class = "StableCascade_EmptyLatentImage",
    category = "latent/stable_cascade",
    module = "comfy_extras.nodes_stable_cascade",
    outputs(stage_c, stage_b)
)]
pub struct StableCascadeEmptyLatentImage {
    /// Width of the images in pixels.
    #[input(default = 1024, min = 256, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 1024, min = 256, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many pixels a side become one cell of the first stage.
    #[input(default = 42, min = 4, max = 128, step = 1)]
    compression: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for StableCascadeEmptyLatentImage {
    type Output = (Latent, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Latent, Latent), NodeError> {
        let Self { width, height, compression, batch_size } = self;
        Ok((
            empty(cx, [batch_size, STAGE_C, height / compression, width / compression])?,
            empty(cx, [batch_size, STAGE_B, height / 4, width / 4])?,
        ))
    }
}

/// Turns images into latents of Stable Cascade's first stage, and makes empty ones of the second stage for them.
#[derive(Node)]
#[node(
    unnamed,
    class = "StableCascade_StageC_VAEEncode",
    category = "latent/stable_cascade",
    module = "comfy_extras.nodes_stable_cascade",
    outputs(stage_c, stage_b)
)]
pub struct StableCascadeStageCVaeEncode {
    /// The images. They are made as large as the compression wants them, what stands out is cut.
    image: Image,
    /// The autoencoder of the first stage.
    #[input(uses)]
    vae: Vae,
    /// How many pixels a side become one cell of the first stage.
    #[input(default = 42, min = 4, max = 128, step = 1)]
    compression: usize,
}

impl Execute for StableCascadeStageCVaeEncode {
    type Output = (Latent, Latent);

    fn execute(self, cx: &mut Cx) -> Result<(Latent, Latent), NodeError> {
        let Self { image, vae, compression } = self;
        let [count, height, width, _] = image.dims();
        let cell = vae.network()?.scale();
        let (rows, columns) = (height / compression, width / compression);
        if count == 0 || rows == 0 || columns == 0 {
            return Err(NodeError::new(format!(
                "{count} images of {width}x{height} pixels make no cell of {compression} pixels a side; link larger images \
                 to `image` or lower `compression`"
            )));
        }
        let _room = cx.room(
            "encoding",
            vae.network()?.activations([rows * cell, columns * cell]) * count as u64,
            "Encode fewer images",
        )?;
        let planes = fit(image.rgb().planes(), [rows * cell, columns * cell], Method::Bicubic, Crop::Center)?;
        let stage_b = empty(cx, [count, STAGE_B, height / 8 * 2, width / 8 * 2])?;
        Ok((Latent::new(encode(&vae, planes)?), stage_b))
    }
}
