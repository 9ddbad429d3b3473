//! Latents of clips: empty ones, and ones whose first frames are taken off.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};

use super::empty::empty;
use crate::comfy::image::limits::MAX_SIDE;
use crate::payload::Latent;

/// How a family cuts a clip into cells.
struct Cells {
    channels: usize,
    /// Frames of the clip that one of the latent stands for; the first stands for itself.
    frames: usize,
    /// Pixels along a side.
    side: usize,
}

impl Cells {
    /// Empty latents of clips of `length` images.
    fn empty(&self, cx: &Cx, [batch, length, height, width]: [usize; 4]) -> Result<Latent, NodeError> {
        let frames = length.saturating_sub(1) / self.frames + 1;
        let latent = empty(cx, [batch, self.channels * frames, height / self.side, width / self.side])?;
        Ok(Latent::with_frames(latent.tensor(), frames))
    }
}

/// Empty latents of clips for HunyuanVideo and Wan 2.1.
#[derive(Node)]
#[node(
    display_name = "Empty HunyuanVideo 1.0 Latent",
    category = "latent/video",
    module = "comfy_extras.nodes_hunyuan"
)]
pub struct EmptyHunyuanLatentVideo {
    /// Width of the images in pixels.
    #[input(default = 848, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 480, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images a clip has.
    #[input(default = 25, min = 1, max = 16384, step = 4)]
    length: usize,
    /// How many clips.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyHunyuanLatentVideo {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let Self { width, height, length, batch_size } = self;
        Cells { channels: 16, frames: 4, side: 8 }.empty(cx, [batch_size, length, height, width])
    }
}

/// Empty latents of clips for Mochi.
#[derive(Node)]
#[node(unnamed, category = "latent/video", module = "comfy_extras.nodes_mochi")]
pub struct EmptyMochiLatentVideo {
    /// Width of the images in pixels.
    #[input(default = 848, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 480, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images a clip has.
    #[input(default = 25, min = 7, max = 16384, step = 6)]
    length: usize,
    /// How many clips.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyMochiLatentVideo {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let Self { width, height, length, batch_size } = self;
        Cells { channels: 12, frames: 6, side: 8 }.empty(cx, [batch_size, length, height, width])
    }
}

/// Empty latents of clips for LTX-Video.
#[derive(Node)]
#[node(unnamed, category = "latent/video/ltxv", module = "comfy_extras.nodes_lt")]
pub struct EmptyLTXVLatentVideo {
    /// Width of the images in pixels.
    #[input(default = 768, min = 64, max = MAX_SIDE, step = 32)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 512, min = 64, max = MAX_SIDE, step = 32)]
    height: usize,
    /// How many images a clip has.
    #[input(default = 97, min = 1, max = 16384, step = 8)]
    length: usize,
    /// How many clips.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyLTXVLatentVideo {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let Self { width, height, length, batch_size } = self;
        Cells { channels: 128, frames: 8, side: 32 }.empty(cx, [batch_size, length, height, width])
    }
}

/// Empty latents of clips for Cosmos.
#[derive(Node)]
#[node(unnamed, category = "latent/video", module = "comfy_extras.nodes_cosmos")]
pub struct EmptyCosmosLatentVideo {
    /// Width of the images in pixels.
    #[input(default = 1280, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 704, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images a clip has.
    #[input(default = 121, min = 1, max = 16384, step = 8)]
    length: usize,
    /// How many clips.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyCosmosLatentVideo {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let Self { width, height, length, batch_size } = self;
        Cells { channels: 16, frames: 8, side: 8 }.empty(cx, [batch_size, length, height, width])
    }
}

/// Empty latents of clips for HunyuanVideo 1.5.
#[derive(Node)]
#[node(
    display_name = "Empty HunyuanVideo 1.5 Latent",
    category = "latent/video",
    module = "comfy_extras.nodes_hunyuan"
)]
pub struct EmptyHunyuanVideo15Latent {
    /// Width of the images in pixels.
    #[input(default = 848, min = 16, max = MAX_SIDE, step = 16)]
    width: usize,
    /// Height of the images in pixels.
    #[input(default = 480, min = 16, max = MAX_SIDE, step = 16)]
    height: usize,
    /// How many images a clip has.
    #[input(default = 25, min = 1, max = 16384, step = 4)]
    length: usize,
    /// How many clips.
    #[input(default = 1, min = 1, max = 4096)]
    batch_size: usize,
}

impl Execute for EmptyHunyuanVideo15Latent {
    type Output = Latent;

    fn execute(self, cx: &mut Cx) -> Result<Latent, NodeError> {
        let Self { width, height, length, batch_size } = self;
        Cells { channels: 32, frames: 4, side: 16 }.empty(cx, [batch_size, length, height, width])
    }
}

/// Takes the first frames off latents of clips.
#[derive(Node)]
#[node(unnamed, category = "latent/video", module = "comfy_extras.nodes_wan")]
pub struct TrimVideoLatent {
    /// The latents.
    samples: Latent,
    /// How many of their frames are taken off.
    #[input(default = 0, min = 0, max = 99999)]
    trim_amount: usize,
}

impl Execute for TrimVideoLatent {
    type Output = Latent;

    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        let Self { samples, trim_amount: first } = self;
        let Some(frames) = samples.frames else {
            let found = samples.shape();
            return Err(NodeError::new(format!(
                "`samples` are latents of images, {found:?}; link latents of clips to it"
            )));
        };
        if first >= frames {
            return Err(NodeError::new(format!(
                "`samples` have {frames} frames, and `trim_amount` {first} leaves none"
            )));
        }
        let ([batch, folded, height, width], left) = (samples.dims(), frames - first);
        let channels = folded / frames;
        let apart: Tensor<4> = samples.tensor().reshape([batch * channels, frames, height, width]);
        let kept = apart.narrow(1, first, left).reshape([batch, channels * left, height, width]);
        Ok(Latent { frames: Some(left), ..samples.with_samples(kept) })
    }
}
