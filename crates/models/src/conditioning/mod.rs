//! Conditioning: what a run is told to draw, where, when and how strongly, and the nodes' ways of changing it.
//!
//! Knows tensors and percentages. Knows nothing of noise levels or latent sizes: [`sampling`](crate::sampling) works
//! those out once per run. Every change copies the list; tensors are shared.
//!
//! Source: ComfyUI `nodes.py`.

mod edit;
mod image_prompt;
mod lotus;
mod low_res;
mod video;

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::nets::{ControlSource, ReferenceMethod, gligen::Grounding};
use crate::weight_hooks::HookGroup;

pub use image_prompt::ImagePrompt;
pub use low_res::LowRes;
pub use video::{Camera, Video};

/// A list of conditions; their predictions are averaged by strength.
#[derive(Debug, Clone, Default)]
pub struct Conditioning {
    /// The conditions.
    pub entries: Vec<Condition>,
}

/// One condition: an encoded prompt and where it holds.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The encoded prompt, `[B, T, D]`.
    pub context: Tensor<3>,
    /// The pooled encoding, `[B, P]`.
    pub pooled: Option<Tensor<2>>,
    /// The part of the image it holds for; all of it without.
    pub area: Option<Area>,
    /// Its weight against other conditions.
    pub strength: f64,
    /// Weights per place.
    pub mask: Option<Mask>,
    /// The part of the run it holds for, as percentages from its start; all of it without.
    pub range: Option<(f64, f64)>,
    /// What SDXL is told about the image's sizes.
    pub sizes: Sizes,
    /// A ControlNet.
    pub control: Option<ControlLink>,
    /// What the ControlNet reads in place of the encoded prompt, `[B, T, D]`.
    pub control_context: Option<Tensor<3>>,
    /// An image to work on, for inpainting and instruct-pix2pix networks.
    pub concat: Option<Concat>,
    /// Boxes with a text each, and the network that puts them into the image.
    pub grounding: Option<Grounding>,
    /// What changes the model's weights where this condition is evaluated.
    pub hooks: Option<Arc<HookGroup>>,
    /// Whether it holds where no other condition of the list does, at what weight they leave; its own mask and strength
    /// count for nothing then.
    pub default: bool,
    /// The part of the run that the prompt was encoded for, when text encoders change over the run.
    pub encoded_for: Option<(f64, f64)>,
    /// Images as prompts (unCLIP), beside the encoded one.
    pub images: Vec<ImagePrompt>,
    /// What a video's network is told of motion and cameras.
    pub video: Video,
    /// A small image to be made large.
    pub low_res: Option<LowRes>,
    /// Which tokens of the prompt count, `[B, T]`: 1 for those that do, 0 for padding. All of them without.
    pub attention_mask: Option<Tensor<2>>,
    /// What a distilled network is told to be guided by.
    pub guidance: DistilledGuidance,
    /// Latents to look at, each `[B, C, h, w]` as the autoencoder gives it, of a size of its own.
    pub references: Vec<Tensor<4>>,
    /// Where references lie; the family's own way without.
    pub reference_method: Option<ReferenceMethod>,
}

/// What a distilled network (Flux) is told to be guided by.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum DistilledGuidance {
    /// What its family takes for usual.
    #[default]
    Usual,
    /// Nothing: the term is left out.
    Off,
    /// A number.
    At(f32),
}

/// A part of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Area {
    /// In latent cells.
    Cells {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
        /// Offset from the top.
        y: usize,
        /// Offset from the left.
        x: usize,
    },
    /// In parts of the whole.
    Fraction {
        /// Height.
        height: f64,
        /// Width.
        width: f64,
        /// Offset from the top.
        y: f64,
        /// Offset from the left.
        x: f64,
    },
}

/// Weights per place, resized to the latent when a run starts.
#[derive(Debug, Clone)]
pub struct Mask {
    /// `[B, H, W]`.
    pub weights: Tensor<3>,
    /// A factor on them.
    pub strength: f64,
    /// Whether only the box around what isn't zero is evaluated.
    pub bounds: bool,
}

/// Sizes that SDXL's networks take. What isn't set follows from the latent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sizes {
    /// Width of the original image.
    pub width: Option<f32>,
    /// Height of the original image.
    pub height: Option<f32>,
    /// What was cut off at its left.
    pub crop_w: Option<f32>,
    /// What was cut off at its top.
    pub crop_h: Option<f32>,
    /// Width of the image wanted.
    pub target_width: Option<f32>,
    /// Height of the image wanted.
    pub target_height: Option<f32>,
    /// How pretty (refiner): 6 unless set, 2.5 in the negative.
    pub aesthetic_score: Option<f32>,
}

/// A ControlNet and whom it speaks to.
#[derive(Debug, Clone)]
pub struct ControlLink {
    /// The network with its hint, strength and range.
    pub source: Arc<dyn ControlSource>,
    /// Whether the negative conditioning gets it, too, when it has none of its own.
    pub to_negative: bool,
}

/// An image to work on, as a latent, and where it may change.
#[derive(Debug, Clone)]
pub struct Concat {
    /// `[B, C, h, w]`, as the autoencoder gives it.
    pub latent: Tensor<4>,
    /// `[B, 1, H, W]`: 1 where the image is to be drawn anew.
    pub mask: Option<Tensor<4>>,
}

impl Condition {
    /// A condition for the whole image and the whole run.
    pub fn new(context: Tensor<3>, pooled: Option<Tensor<2>>) -> Self {
        Self {
            context,
            pooled,
            area: None,
            strength: 1.0,
            mask: None,
            range: None,
            sizes: Sizes::default(),
            control: None,
            control_context: None,
            concat: None,
            grounding: None,
            hooks: None,
            default: false,
            encoded_for: None,
            images: Vec::new(),
            video: Video::default(),
            low_res: None,
            attention_mask: None,
            guidance: DistilledGuidance::Usual,
            references: Vec::new(),
            reference_method: None,
        }
    }
}

impl Condition {
    /// The part of the run it holds for: the one that was set, within the one that its prompt was encoded for.
    pub fn holds_for(&self) -> Option<(f64, f64)> {
        let Some((from, to)) = self.encoded_for else { return self.range };
        let (start, end) = self.range.unwrap_or((0.0, 1.0));
        Some((start.max(from), end.min(to)))
    }
}

impl Conditioning {
    /// A list of one.
    pub fn new(context: Tensor<3>, pooled: Option<Tensor<2>>) -> Self {
        Condition::new(context, pooled).into()
    }

    /// Bytes that its tensors hold.
    pub fn bytes(&self) -> usize {
        let count = |shape: &[usize]| shape.iter().product::<usize>() * 4;
        self.entries.iter().map(|c| count(&c.context.dims()) + c.pooled.as_ref().map_or(0, |p| count(&p.dims()))).sum()
    }
}

impl From<Condition> for Conditioning {
    fn from(condition: Condition) -> Self {
        Self { entries: vec![condition] }
    }
}
