//! The blocks of the video autoencoder: residual block, attention within a frame, and the changes of size.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::{
    conv::{CausalConv, PlaceConv},
    past::Past,
};
use crate::{
    error::ModelError,
    nets::layers::Conv2d,
    ops::{self, Mask, Padding},
    weights::WeightBuilder,
};

/// Normalisation of each place by the length of its channels.
#[derive(Debug)]
pub(super) struct ChannelNorm {
    gamma: Weight,
    channels: usize,
}

impl ChannelNorm {
    /// Takes `{name}.gamma`, `[channels]` and `ones` sides of 1, from the builder.
    pub(super) fn new(wb: &WeightBuilder<'_>, name: &str, channels: usize, ones: usize) -> Result<Self, ModelError> {
        let shape: Vec<usize> = std::iter::once(channels).chain(std::iter::repeat_n(1, ones)).collect();
        Ok(Self { gamma: wb.get(&format!("{name}.gamma"), &shape)?, channels })
    }

    /// # Shapes
    /// `[frames, channels, h, w]`, kept. SiLU follows when `silu` is set.
    pub(super) fn forward(&self, x: Tensor<4>, silu: bool) -> Result<Tensor<4>, ModelError> {
        let gamma = self.gamma.acquire_as([self.channels], &x.device())?;
        Ok(ops::channel_norm(x, gamma.tensor(), silu)?)
    }
}

/// `shortcut(x) + conv(silu(norm(conv(silu(norm(x))))))`, both convolutions causal.
///
/// Source: Wan 2.1, `vae.py`, `ResidualBlock`.
#[derive(Debug)]
pub(super) struct Residual {
    norm1: ChannelNorm,
    conv1: CausalConv,
    norm2: ChannelNorm,
    conv2: CausalConv,
    shortcut: Option<PlaceConv>,
}

impl Residual {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, sides: [usize; 2]) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        let [inputs, outputs] = sides;
        let shortcut = (inputs != outputs).then(|| PlaceConv::new(wb, &name("shortcut"), sides, 3));
        Ok(Self {
            norm1: ChannelNorm::new(wb, &name("residual.0"), inputs, 3)?,
            conv1: CausalConv::new(wb, &name("residual.2"), sides, 3)?,
            norm2: ChannelNorm::new(wb, &name("residual.3"), outputs, 3)?,
            conv2: CausalConv::new(wb, &name("residual.6"), [outputs, outputs], 3)?,
            shortcut: shortcut.transpose()?,
        })
    }

    fn forward(&self, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        let h = self.conv1.forward(self.norm1.forward(x.clone(), true)?, past)?;
        let h = self.conv2.forward(self.norm2.forward(h, true)?, past)?;
        match &self.shortcut {
            Some(conv) => Ok(conv.forward(x)? + h),
            None => Ok(x + h),
        }
    }
}

/// Every place of a frame attends to every other of the same frame with one head, `x + proj(...)`.
///
/// Source: Wan 2.1, `vae.py`, `AttentionBlock`.
#[derive(Debug)]
pub(super) struct Attention {
    norm: ChannelNorm,
    qkv: PlaceConv,
    proj: PlaceConv,
}

impl Attention {
    pub(super) fn new(wb: &WeightBuilder<'_>, path: &str, channels: usize) -> Result<Self, ModelError> {
        Ok(Self {
            norm: ChannelNorm::new(wb, &format!("{path}.norm"), channels, 2)?,
            qkv: PlaceConv::new(wb, &format!("{path}.to_qkv"), [channels, 3 * channels], 2)?,
            proj: PlaceConv::new(wb, &format!("{path}.proj"), [channels, channels], 2)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [frames, channels, height, width] = x.dims();
        let qkv = self.qkv.forward(self.norm.forward(x.clone(), false)?)?;
        let tokens = |part: usize| {
            let part = qkv.clone().narrow(1, part * channels, channels);
            part.reshape([frames, channels, height * width]).swap_dims(1, 2)
        };
        let h = ops::attention(tokens(0), tokens(1), tokens(2), 1, Mask::None)?;
        let h = h.swap_dims(1, 2).reshape([frames, channels, height, width]);
        Ok(x + self.proj.forward(h)?)
    }
}

/// To half or double height and width, and the same for frames where `time` is there. A clip's first frame stays one.
///
/// Source: Wan 2.1, `vae.py`, `Resample`.
#[derive(Debug)]
pub(super) struct Resize {
    conv: Conv2d,
    time: Option<CausalConv>,
}

impl Resize {
    pub(super) fn down(wb: &WeightBuilder<'_>, path: &str, channels: usize, time: bool) -> Result<Self, ModelError> {
        let conv = Conv2d::new(wb, &format!("{path}.resample.1"), channels, channels, 3)?;
        let padding = Padding { bottom: 1, right: 1, ..Padding::default() };
        let time = time.then(|| CausalConv::new(wb, &format!("{path}.time_conv"), [channels, channels], 1));
        Ok(Self { conv: conv.with_stride(2).with_padding(padding), time: time.transpose()? })
    }

    pub(super) fn up(
        wb: &WeightBuilder<'_>,
        path: &str,
        [inputs, outputs]: [usize; 2],
        time: bool,
    ) -> Result<Self, ModelError> {
        let time = time.then(|| CausalConv::new(wb, &format!("{path}.time_conv"), [inputs, 2 * inputs], 1));
        let conv = Conv2d::new(wb, &format!("{path}.resample.1"), inputs, outputs, 3)?;
        Ok(Self { conv, time: time.transpose()? })
    }

    /// A chunk after the first has an even number of frames where frames are halved.
    fn shrink(&self, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        let x = self.conv.forward(x)?;
        let Some(time) = &self.time else { return Ok(x) };
        let (memory, keep) = past.turn();
        if std::mem::replace(&mut memory.begun, true) {
            return time.over(memory.lengthen(x, 1, keep), 2);
        }
        memory.frames = keep.then(|| x.clone());
        Ok(x)
    }

    fn grow(&self, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        let x = match &self.time {
            Some(time) => Self::double(time, x, past)?,
            None => x,
        };
        let [_, _, height, width] = x.dims();
        self.conv.forward(ops::upsample_nearest(x, height * 2, width * 2)?)
    }

    /// Two frames from each but the clip's first, which the convolution doesn't see either.
    fn double(time: &CausalConv, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        let (memory, keep) = past.turn();
        if !std::mem::replace(&mut memory.begun, true) {
            return Ok(x);
        }
        let [frames, channels, height, width] = x.dims();
        let pairs = time.over(memory.lengthen(x, 2, keep), 1)?;
        Ok(pairs.reshape([2 * frames, channels, height, width]))
    }
}

/// One entry of the encoder or the decoder.
#[derive(Debug)]
pub(super) enum Block {
    Residual(Residual),
    Attention(Attention),
    Shrink(Resize),
    Grow(Resize),
}

impl Block {
    pub(super) fn forward(&self, x: Tensor<4>, past: &mut Past) -> Result<Tensor<4>, ModelError> {
        match self {
            Self::Residual(block) => block.forward(x, past),
            Self::Attention(block) => block.forward(x),
            Self::Shrink(resize) => resize.shrink(x, past),
            Self::Grow(resize) => resize.grow(x, past),
        }
    }
}
