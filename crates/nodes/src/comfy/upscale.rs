//! Nodes that enlarge images with a network.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::upscale::Upscaler;
use kiln_models::vae::Tiles;

use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::payload::{Image, UpscaleModel};
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! {
    UpscaleModelLoader, ImageUpscaleWithModel,
}

/// Side of a tile in pixels.
const TILE: usize = 512;
/// How far tiles overlap, in pixels.
const OVERLAP: usize = 32;

fn upscalers(host: &Host) -> Vec<String> {
    models(host, "upscale_models")
}

/// Opens a network that enlarges images (ESRGAN and its kin).
#[derive(Node)]
#[node(
    display_name = "Load Upscale Model",
    category = "loaders",
    module = "comfy_extras.nodes_upscale_model",
    aliases("esrgan", "enlarge")
)]
pub struct UpscaleModelLoader {
    /// A file of the folder `upscale_models`.
    #[input(choices = upscalers, type = "COMBO", option("multiselect" = false), option("options" = Vec::<String>::new()), provides(UPSCALE_MODEL = "upscaler"))]
    model_name: String,
}

impl Execute for UpscaleModelLoader {
    type Output = UpscaleModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "upscale_models", &["model_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<UpscaleModel, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("upscale_models", &self.model_name)?;
        Ok(UpscaleModel(Arc::new(Upscaler::open(&path, environment.budget())?)))
    }
}

/// Enlarges images with a network, tile by tile.
#[derive(Node)]
#[node(
    display_name = "Upscale Image (using Model)",
    category = "image/upscaling",
    module = "comfy_extras.nodes_upscale_model",
    aliases("esrgan", "enlarge")
)]
pub struct ImageUpscaleWithModel {
    /// The network.
    #[input(uses)]
    upscale_model: UpscaleModel,
    /// The images.
    image: Image,
}

impl Execute for ImageUpscaleWithModel {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let pixels = self.image.rgb().pixels();
        let count = pixels.dims()[0];
        let mut bar = cx.progress(count as f64);
        let mut enlarged = Vec::new();
        for i in 0..count {
            cx.checkpoint()?;
            enlarged.push(self.upscale_model.0.upscale(pixels.clone().narrow(0, i, 1), Tiles::square(TILE, OVERLAP))?);
            bar.step()?;
        }
        if enlarged.is_empty() {
            return Err(NodeError::new("`image` holds no image"));
        }
        Ok(Image::new(Tensor::cat(enlarged, 0)))
    }
}
