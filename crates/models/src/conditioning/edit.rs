//! The conditioning nodes, as methods that return a changed copy.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::nets::gligen::{Gligen, GroundedBox, Grounding};

use super::{
    Area, Concat, Condition, Conditioning, ControlLink, DistilledGuidance, ImagePrompt, LowRes, Mask, Sizes, Video,
};
use crate::nets::ReferenceMethod;
use crate::weight_hooks::HookGroup;

/// Latent cells per side of a cell in pixels.
const CELL: usize = 8;

impl Conditioning {
    /// ConditioningCombine: both lists.
    pub fn combine(&self, other: &Self) -> Self {
        Self { entries: [self.entries.as_slice(), &other.entries].concat() }
    }

    /// ConditioningAverage: each entry times `share` plus the first of `from` times the rest, which is cut or padded
    /// with zeros to the entry's length. Without entries in `from` nothing changes.
    pub fn average(&self, from: &Self, share: f64) -> Self {
        let Some(other) = from.entries.first() else { return self.clone() };
        let (share, rest) = (share as f32, (1.0 - share) as f32);
        self.each(|entry| {
            let fitted = fit(&other.context, entry.context.dims()[1]);
            entry.context = entry.context.clone() * share + fitted * rest;
            entry.pooled = match (&entry.pooled, &other.pooled) {
                (Some(own), Some(other)) => Some(own.clone() * share + other.clone() * rest),
                (own, other) => own.clone().or_else(|| other.clone()),
            };
        })
    }

    /// ConditioningConcat: the tokens of the first of `from` behind those of each entry.
    pub fn concat(&self, from: &Self) -> Self {
        let Some(other) = from.entries.first() else { return self.clone() };
        self.each(|entry| {
            entry.context = Tensor::cat(vec![entry.context.clone(), other.context.clone()], 1);
        })
    }

    /// ConditioningSetArea, in pixels.
    pub fn set_area(&self, [width, height, x, y]: [usize; 4], strength: f64) -> Self {
        let area = Area::Cells { height: height / CELL, width: width / CELL, y: y / CELL, x: x / CELL };
        self.with_area(area, strength)
    }

    /// ConditioningSetAreaPercentage, in parts of the whole.
    pub fn set_area_fraction(&self, [width, height, x, y]: [f64; 4], strength: f64) -> Self {
        self.with_area(Area::Fraction { height, width, y, x }, strength)
    }

    /// ConditioningSetAreaStrength.
    pub fn set_strength(&self, strength: f64) -> Self {
        self.each(|entry| entry.strength = strength)
    }

    /// ConditioningSetMask: `weights` is `[B, H, W]`; with `bounds` only the box around it is evaluated.
    pub fn set_mask(&self, weights: &Tensor<3>, strength: f64, bounds: bool) -> Self {
        self.each(|entry| entry.mask = Some(Mask { weights: weights.clone(), strength, bounds }))
    }

    /// ConditioningZeroOut.
    pub fn zero_out(&self) -> Self {
        self.each(|entry| {
            entry.context = entry.context.zeros_like();
            entry.pooled = entry.pooled.as_ref().map(Tensor::zeros_like);
        })
    }

    /// ConditioningSetTimestepRange, in parts of the run from its start.
    pub fn set_range(&self, start: f64, end: f64) -> Self {
        self.each(|entry| entry.range = Some((start, end)))
    }

    /// What CLIPTextEncodeSDXL adds.
    pub fn set_sizes(&self, sizes: Sizes) -> Self {
        self.each(|entry| entry.sizes = sizes)
    }

    /// What the ControlNet nodes add; `link` makes each entry's control from the one it had.
    pub fn set_control(&self, mut link: impl FnMut(Option<&ControlLink>) -> ControlLink) -> Self {
        self.each(|entry| entry.control = Some(link(entry.control.as_ref())))
    }

    /// What CLIPTextEncodeControlnet adds: another encoded prompt for ControlNets alone.
    pub fn set_control_context(&self, context: &Tensor<3>) -> Self {
        self.each(|entry| entry.control_context = Some(context.clone()))
    }

    /// GLIGENTextBoxApply: one more box behind those that an entry has; all of them are `net`'s now.
    pub fn add_box(&self, net: &Arc<Gligen>, found: &GroundedBox) -> Self {
        self.each(|entry| {
            let mut boxes = entry.grounding.take().map(|grounding| grounding.boxes).unwrap_or_default();
            boxes.push(found.clone());
            entry.grounding = Some(Grounding { net: net.clone(), boxes });
        })
    }

    /// What InpaintModelConditioning and InstructPixToPixConditioning add.
    pub fn set_concat(&self, concat: &Concat) -> Self {
        self.each(|entry| entry.concat = Some(concat.clone()))
    }

    /// Adds hooks to those that each entry has.
    pub fn set_hooks(&self, hooks: &Arc<HookGroup>) -> Self {
        self.each(|entry| {
            entry.hooks = Some(match &entry.hooks {
                Some(own) => Arc::new(own.with(hooks)),
                None => hooks.clone(),
            });
        })
    }

    /// Lets each entry hold where no other does.
    pub fn set_default(&self) -> Self {
        self.each(|entry| entry.default = true)
    }

    /// unCLIPConditioning: images as prompts, behind those there are.
    pub fn add_images(&self, images: &ImagePrompt) -> Self {
        self.each(|entry| entry.images.push(images.clone()))
    }

    /// What the nodes for videos add.
    pub fn set_video(&self, video: &Video) -> Self {
        self.each(|entry| entry.video = video.clone())
    }

    /// What SD_4XUpscale_Conditioning adds.
    pub fn set_low_res(&self, low_res: &LowRes) -> Self {
        self.each(|entry| entry.low_res = Some(low_res.clone()))
    }

    /// FluxGuidance, FluxDisableGuidance.
    pub fn set_guidance(&self, guidance: DistilledGuidance) -> Self {
        self.each(|entry| entry.guidance = guidance)
    }

    /// ReferenceLatent: one more latent behind those there are.
    pub fn add_reference(&self, latent: &Tensor<4>) -> Self {
        self.each(|entry| entry.references.push(latent.clone()))
    }

    /// FluxKontextMultiReferenceLatentMethod.
    pub fn set_reference_method(&self, method: ReferenceMethod) -> Self {
        self.each(|entry| entry.reference_method = Some(method))
    }

    fn with_area(&self, area: Area, strength: f64) -> Self {
        self.each(|entry| {
            entry.area = Some(area);
            entry.strength = strength;
            if let Some(mask) = &mut entry.mask {
                mask.bounds = false;
            }
        })
    }

    fn each(&self, mut change: impl FnMut(&mut Condition)) -> Self {
        let mut copy = self.clone();
        for entry in &mut copy.entries {
            change(entry);
        }
        copy
    }
}

/// Cut or padded with zeros to so many tokens.
fn fit(context: &Tensor<3>, tokens: usize) -> Tensor<3> {
    let [batch, own, width] = context.dims();
    if own >= tokens {
        return context.clone().narrow(1, 0, tokens);
    }
    let zeros = Tensor::zeros([batch, tokens - own, width], &context.device());
    Tensor::cat(vec![context.clone(), zeros], 1)
}
