//! Latents of nothing, to denoise from.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::cell::CELL;
use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::Latent;
use crate::runtime::environment::CxExt;

/// A batch of empty latents for images of a given size.
#[derive(Node)]
#[node(display_name = "Empty Latent Image", category = "latent", aliases("size", "blank"))]
pub struct EmptyLatentImage {
    /// Width of the images in pixels.
    #[input(default = 512, min = 16, max = MAX_SIDE, step = 8)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 512, min = 16, max = MAX_SIDE, step = 8)]
    height: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyLatentImage {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        empty(cx, [self.batch_size, 4, self.height / CELL, self.width / CELL])
    }
}

/// Empty latents of sixteen channels, for SD3 and its kin.
#[derive(Node)]
#[node(unnamed, category = "latent/sd3", module = "comfy_extras.nodes_sd3")]
pub struct EmptySD3LatentImage {
    /// Width of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptySD3LatentImage {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        empty(cx, [self.batch_size, 16, self.height / CELL, self.width / CELL])
    }
}

/// Empty latents of 128 channels and cells of sixteen pixels, for Flux 2.
#[derive(Node)]
#[node(display_name = "Empty Flux 2 Latent", category = "latent", module = "comfy_extras.nodes_flux")]
pub struct EmptyFlux2LatentImage {
    /// Width of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyFlux2LatentImage {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        empty(cx, [self.batch_size, 128, self.height / 16, self.width / 16])
    }
}

/// Empty latents of 64 channels and cells of 32 pixels, for HunyuanImage 2.1.
#[derive(Node)]
#[node(unnamed, category = "latent", module = "comfy_extras.nodes_hunyuan")]
pub struct EmptyHunyuanImageLatent {
    /// Width of the images in pixels.
    #[input(default = 2048, min = 64, max = MAX_SIDE, step = 32)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 2048, min = 64, max = MAX_SIDE, step = 32)]
    height: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyHunyuanImageLatent {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        empty(cx, [self.batch_size, 64, self.height / 32, self.width / 32])
    }
}

/// Empty latents of three channels whose cells are pixels, for Chroma Radiance.
#[derive(Node)]
#[node(unnamed, category = "latent/chroma_radiance", module = "comfy_extras.nodes_chroma_radiance")]
pub struct EmptyChromaRadianceLatentImage {
    /// Width of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 1024, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyChromaRadianceLatentImage {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        empty(cx, [self.batch_size, 3, self.height, self.width])
    }
}

/// Most values of one latent: 64 GiB in f32. More is a mistake, and asking the system for it ends the program.
const MAX_VALUES: u128 = 1 << 34;

/// A latent of nothing.
pub(super) fn empty(cx: &Cx, dims: [usize; 4]) -> Result<Latent, NodeError> {
    if dims.contains(&0) {
        return Err(NodeError::new(format!("a latent {dims:?} has no cells; width and height must be at least 16")));
    }
    if dims.iter().map(|d| *d as u128).product::<u128>() > MAX_VALUES {
        return Err(NodeError::new(format!("a latent {dims:?} is too large; lower width, height or batch_size")));
    }
    Ok(Latent::new(Tensor::zeros(dims, cx.environment()?.device())))
}
