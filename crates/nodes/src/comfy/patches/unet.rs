//! Changes inside of the network.
#![allow(non_camel_case_types, reason = "the classes have ComfyUI's names")]

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::hooks::{Downscale, FreeU as Weights, Hook, HyperTile as Tiles};
use kiln_models::image::Method;

use crate::payload::Model;

/// The ways of resizing inside of a network.
const METHODS: [&str; 5] = ["bicubic", "nearest-exact", "bilinear", "area", "bislerp"];

fn hooked(model: Model, hook: Hook) -> Model {
    model.patched(|patches| patches.hooks = std::mem::take(&mut patches.hooks).with(hook))
}

/// Weighs the network's backbone and skips anew: better images for nothing.
#[derive(Node)]
#[node(category = "model_patches/unet", module = "comfy_extras.nodes_freelunch")]
pub struct FreeU {
    /// The model.
    model: Model,
    /// Factor on the backbone at the deepest stage.
    #[input(default = 1.1, min = 0.0, max = 10.0, step = 0.01)]
    b1: f32,
    /// Factor on the backbone at the stage above it.
    #[input(default = 1.2, min = 0.0, max = 10.0, step = 0.01)]
    b2: f32,
    /// Factor on the skips' low frequencies at the deepest stage.
    #[input(default = 0.9, min = 0.0, max = 10.0, step = 0.01)]
    s1: f32,
    /// Factor on the skips' low frequencies at the stage above it.
    #[input(default = 0.2, min = 0.0, max = 10.0, step = 0.01)]
    s2: f32,
}

impl Execute for FreeU {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, b1, b2, s1, s2 } = self;
        Ok(free_u(model, [b1, b2], [s1, s2], false))
    }
}

/// Weighs the network's backbone and skips anew, places that are active more than others.
#[derive(Node)]
#[node(category = "model_patches/unet", module = "comfy_extras.nodes_freelunch")]
pub struct FreeU_V2 {
    /// The model.
    model: Model,
    /// Factor on the backbone at the deepest stage.
    #[input(default = 1.3, min = 0.0, max = 10.0, step = 0.01)]
    b1: f32,
    /// Factor on the backbone at the stage above it.
    #[input(default = 1.4, min = 0.0, max = 10.0, step = 0.01)]
    b2: f32,
    /// Factor on the skips' low frequencies at the deepest stage.
    #[input(default = 0.9, min = 0.0, max = 10.0, step = 0.01)]
    s1: f32,
    /// Factor on the skips' low frequencies at the stage above it.
    #[input(default = 0.2, min = 0.0, max = 10.0, step = 0.01)]
    s2: f32,
}

impl Execute for FreeU_V2 {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let Self { model, b1, b2, s1, s2 } = self;
        Ok(free_u(model, [b1, b2], [s1, s2], true))
    }
}

/// The factors hold at widths of a UNet: models of other networks stay as they are.
fn free_u(model: Model, backbone: [f32; 2], skip: [f32; 2], adaptive: bool) -> Model {
    match model.network.network.model_channels() {
        Some(model_channels) => hooked(model, Hook::FreeU(Weights { model_channels, backbone, skip, adaptive })),
        None => model,
    }
}

/// Lets a part of the run work on smaller maps, so that large images do not repeat themselves.
#[derive(Node)]
#[node(
    display_name = "PatchModelAddDownscale (Kohya Deep Shrink)",
    category = "model_patches/unet",
    module = "comfy_extras.nodes_model_downscale"
)]
pub struct PatchModelAddDownscale {
    /// The model.
    model: Model,
    /// The block after which maps are smaller.
    #[input(default = 3, min = 1, max = 32, step = 1)]
    block_number: usize,
    /// How many times smaller.
    #[input(default = 2.0, min = 0.1, max = 9.0, step = 0.001)]
    downscale_factor: f64,
    /// From where in the run, 0 for its start.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// To where in the run, 1 for its end.
    #[input(default = 0.35, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
    /// Whether what the block hands to the way up keeps its size.
    #[input(default = true)]
    downscale_after_skip: bool,
    /// How maps get smaller.
    #[input(options = METHODS, option("multiselect" = false))]
    downscale_method: String,
    /// How they get their size back.
    #[input(options = METHODS, option("multiselect" = false))]
    upscale_method: String,
}

impl Execute for PatchModelAddDownscale {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let levels = &self.model.sampling.levels;
        let hook = Downscale {
            block: self.block_number,
            factor: self.downscale_factor,
            sigmas: [self.start_percent, self.end_percent].map(|percent| levels.percent_to_sigma(percent)),
            after_skip: self.downscale_after_skip,
            down: self.downscale_method.parse::<Method>()?,
            up: self.upscale_method.parse::<Method>()?,
        };
        Ok(hooked(self.model, Hook::Downscale(hook)))
    }
}

/// Cuts large maps into tiles for self-attention, which then costs less.
#[derive(Node)]
#[node(unnamed, category = "model_patches/unet", module = "comfy_extras.nodes_hypertile")]
pub struct HyperTile {
    /// The model.
    model: Model,
    /// Side of a tile in pixels, at least.
    #[input(default = 256, min = 1, max = 2048)]
    tile_size: usize,
    /// How many tile sizes to choose from, by chance.
    #[input(default = 2, min = 1, max = 128)]
    swap_size: usize,
    /// The deepest level that is tiled.
    #[input(default = 0, min = 0, max = 10)]
    max_depth: u32,
    /// Whether tiles grow with the level.
    #[input(default = false)]
    scale_depth: bool,
}

impl Execute for HyperTile {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        let tiles = Tiles {
            tile: self.tile_size.max(32) / 8,
            choices: self.swap_size,
            depth: self.max_depth,
            scaled: self.scale_depth,
        };
        Ok(hooked(self.model, Hook::HyperTile(tiles)))
    }
}

/// Lets tokens that resemble each other attend together, which then costs less.
#[derive(Node)]
#[node(unnamed, category = "model_patches/unet", module = "comfy_extras.nodes_tomesd")]
pub struct TomePatchModel {
    /// The model.
    model: Model,
    /// The share of tokens that is merged into others.
    #[input(default = 0.3, min = 0.0, max = 1.0, step = 0.01)]
    ratio: f64,
}

impl Execute for TomePatchModel {
    type Output = Model;

    fn execute(self, _: &mut Cx) -> Result<Model, NodeError> {
        Ok(hooked(self.model, Hook::Merge(self.ratio)))
    }
}
