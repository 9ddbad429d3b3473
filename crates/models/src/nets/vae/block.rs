//! The blocks of the autoencoder: residual block, attention over pixels, and the two ways to change the size.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    nets::{
        frames::{Blend, FrameResidual},
        layers::{Conv2d, GroupNorm},
    },
    ops::{self, Mask, Padding},
    weights::WeightBuilder,
};

/// Epsilon of the autoencoder's norms; the UNet's residual blocks have another.
const EPS: f64 = 1e-6;

pub(super) fn norm(wb: &WeightBuilder<'_>, name: &str, channels: usize) -> Result<GroupNorm, ModelError> {
    GroupNorm::new(wb, name, 32, channels, EPS)
}

/// `shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x))))))`.
///
/// Source: CompVis latent-diffusion, `diffusionmodules/model.py`, `ResnetBlock`.
#[derive(Debug)]
pub(super) struct Residual {
    norm1: GroupNorm,
    conv1: Conv2d,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    /// Over frames, with its share.
    time: Option<(FrameResidual, Blend)>,
}

impl Residual {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        let shortcut = (inputs != outputs).then(|| Conv2d::new(wb, &name("nin_shortcut"), inputs, outputs, 1));
        Ok(Self {
            norm1: norm(wb, &name("norm1"), inputs)?,
            conv1: Conv2d::new(wb, &name("conv1"), inputs, outputs, 3)?,
            norm2: norm(wb, &name("norm2"), outputs)?,
            conv2: Conv2d::new(wb, &name("conv2"), outputs, outputs, 3)?,
            shortcut: shortcut.transpose()?,
            time: None,
        })
    }

    /// With a residual block over frames behind it, mixed with what goes in there. The batch is one clip.
    ///
    /// Source: Stability AI, generative-models, `temporal_ae.py`, `VideoResBlock`.
    fn over_frames(self, wb: &WeightBuilder<'_>, path: &str, outputs: usize) -> Result<Self, ModelError> {
        let block = FrameResidual::new(wb, &format!("{path}.time_stack"), outputs, None)?;
        Ok(Self { time: Some((block, Blend::new(wb, &format!("{path}.mix_factor"))?)), ..self })
    }

    /// Of a decoder, over frames or not.
    fn of(wb: &WeightBuilder<'_>, path: &str, sides: [usize; 2], frames: bool) -> Result<Self, ModelError> {
        let block = Self::new(wb, path, sides[0], sides[1])?;
        if frames { block.over_frames(wb, path, sides[1]) } else { Ok(block) }
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.conv1.forward(self.norm1.forward_silu(x.clone())?)?;
        let h = self.conv2.forward(self.norm2.forward_silu(h)?)?;
        let x = match &self.shortcut {
            Some(conv) => conv.forward(x)?,
            None => x,
        };
        let y = x + h;
        let Some((block, blend)) = &self.time else { return Ok(y) };
        let frames = y.dims()[0];
        blend.mix(block.forward(y.clone(), frames, None)?, y)
    }
}

/// Every pixel attends to every other with one head, `x + proj_out(...)`.
///
/// Source: CompVis latent-diffusion, `diffusionmodules/model.py`, `AttnBlock`.
#[derive(Debug)]
pub(super) struct Attention {
    norm: GroupNorm,
    q: Conv2d,
    k: Conv2d,
    v: Conv2d,
    proj_out: Conv2d,
}

impl Attention {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize) -> Result<Self, ModelError> {
        let conv = |end: &str| Conv2d::new(wb, &format!("{path}.{end}"), channels, channels, 1);
        Ok(Self {
            norm: norm(wb, &format!("{path}.norm"), channels)?,
            q: conv("q")?,
            k: conv("k")?,
            v: conv("v")?,
            proj_out: conv("proj_out")?,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [batch, channels, height, width] = x.dims();
        let tokens = |x: Tensor<4>| x.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let h = self.norm.forward(x.clone())?;
        let q = tokens(self.q.forward(h.clone())?);
        let k = tokens(self.k.forward(h.clone())?);
        let v = tokens(self.v.forward(h)?);
        let h = ops::attention(q, k, v, 1, Mask::None)?.swap_dims(1, 2).reshape([batch, channels, height, width]);
        Ok(x + self.proj_out.forward(h)?)
    }
}

/// Residual block, attention, residual block: the middle of encoder and decoder.
#[derive(Debug)]
pub(super) struct Middle {
    block_1: Residual,
    attention: Option<Attention>,
    block_2: Residual,
}

impl Middle {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        attention: bool,
        frames: bool,
    ) -> Result<Self, ModelError> {
        let attention = attention.then(|| Attention::new(wb, &format!("{path}.attn_1"), channels));
        Ok(Self {
            block_1: Residual::of(wb, &format!("{path}.block_1"), [channels; 2], frames)?,
            attention: attention.transpose()?,
            block_2: Residual::of(wb, &format!("{path}.block_2"), [channels; 2], frames)?,
        })
    }

    pub(super) fn attention(&self) -> Option<&Attention> {
        self.attention.as_ref()
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let h = self.block_1.forward(x)?;
        let h = match &self.attention {
            Some(attention) => attention.forward(h)?,
            None => h,
        };
        self.block_2.forward(h)
    }
}

/// One level: residual blocks, each with its attention where the level has them, and a change of size after.
#[derive(Debug)]
pub(super) struct Level {
    blocks: Vec<Residual>,
    attention: Vec<Attention>,
    resize: Option<Resize>,
}

#[derive(Debug)]
enum Resize {
    /// To half: one row and column of zeros below and to the right, then a convolution with stride 2.
    Down(Conv2d),
    /// To double: nearest neighbour, then a convolution.
    Up(Conv2d),
}

/// What a level is made of.
pub(super) struct LevelPlan {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) blocks: usize,
    pub(super) attention: bool,
    /// Whether its blocks are over frames, too.
    pub(super) frames: bool,
    /// Whether a change of size follows: on the way down after every level but the last, on the way up but level 0.
    pub(super) resize: bool,
}

impl Level {
    pub(super) fn down(wb: &WeightBuilder<'_>, path: &str, plan: &LevelPlan) -> Result<Self, ModelError> {
        let conv = || Conv2d::new(wb, &format!("{path}.downsample.conv"), plan.outputs, plan.outputs, 3);
        let resize = plan.resize.then(conv).transpose()?;
        let resize = resize.map(|conv| {
            Resize::Down(conv.with_stride(2).with_padding(Padding { bottom: 1, right: 1, ..Padding::default() }))
        });
        Ok(Self { resize, ..Self::blocks(wb, path, plan)? })
    }

    pub(super) fn up(wb: &WeightBuilder<'_>, path: &str, plan: &LevelPlan) -> Result<Self, ModelError> {
        let conv = || Conv2d::new(wb, &format!("{path}.upsample.conv"), plan.outputs, plan.outputs, 3);
        Ok(Self { resize: plan.resize.then(conv).transpose()?.map(Resize::Up), ..Self::blocks(wb, path, plan)? })
    }

    fn blocks(wb: &WeightBuilder<'_>, path: &str, plan: &LevelPlan) -> Result<Self, ModelError> {
        let inputs = |b| if b == 0 { plan.inputs } else { plan.outputs };
        let block = |b| Residual::of(wb, &format!("{path}.block.{b}"), [inputs(b), plan.outputs], plan.frames);
        let attention = |b| Attention::new(wb, &format!("{path}.attn.{b}"), plan.outputs);
        let attentions = if plan.attention { plan.blocks } else { 0 };
        Ok(Self {
            blocks: (0..plan.blocks).map(block).collect::<Result<_, _>>()?,
            attention: (0..attentions).map(attention).collect::<Result<_, _>>()?,
            resize: None,
        })
    }

    pub(super) fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let mut h = x;
        for (b, block) in self.blocks.iter().enumerate() {
            h = block.forward(h)?;
            if let Some(attention) = self.attention.get(b) {
                h = attention.forward(h)?;
            }
        }
        match &self.resize {
            None => Ok(h),
            Some(Resize::Down(conv)) => conv.forward(h),
            Some(Resize::Up(conv)) => {
                let [_, _, height, width] = h.dims();
                conv.forward(ops::upsample_nearest(h, height * 2, width * 2)?)
            }
        }
    }
}
