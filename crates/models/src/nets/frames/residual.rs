//! The residual block over frames, of video UNets and video decoders.

use burn::tensor::Tensor;

use super::{FrameConv, to_clips, to_frames};
use crate::{
    error::ModelError,
    nets::layers::{GroupNorm, Linear},
    weights::WeightBuilder,
};

/// `x + conv(silu(norm(conv(silu(norm(x))) + linear(silu(emb)))))` with convolutions over frames and norms over all places
/// of all frames of a clip.
///
/// Source: Stability AI, generative-models, `ResBlock` with `dims = 3` and the kernel (3, 1, 1).
#[derive(Debug)]
pub(crate) struct FrameResidual {
    norm_in: GroupNorm,
    conv_in: FrameConv,
    embed: Option<Linear>,
    norm_out: GroupNorm,
    conv_out: FrameConv,
}

impl FrameResidual {
    /// `embed`: width of the time embedding; none in decoders.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        path: &str,
        channels: usize,
        embed: Option<usize>,
    ) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        Ok(Self {
            norm_in: GroupNorm::new(wb, &name("in_layers.0"), 32, channels, 1e-5)?,
            conv_in: FrameConv::new(wb, &name("in_layers.2"), channels, channels)?,
            embed: embed.map(|embed| Linear::new(wb, &name("emb_layers.1"), embed, channels)).transpose()?,
            norm_out: GroupNorm::new(wb, &name("out_layers.0"), 32, channels, 1e-5)?,
            conv_out: FrameConv::new(wb, &name("out_layers.3"), channels, channels)?,
        })
    }

    /// # Shapes
    /// `x` `[clips · frames, channels, h, w]`, kept; `embed_silu` `[clips · frames, embed]` (after its SiLU).
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        frames: usize,
        embed_silu: Option<&Tensor<2>>,
    ) -> Result<Tensor<4>, ModelError> {
        let [batch, channels, height, width] = x.dims();
        let x = to_clips(x, frames);
        let mut h = self.conv_in.forward(self.norm_in.forward_silu(x.clone())?)?;
        if let (Some(linear), Some(embed)) = (&self.embed, embed_silu) {
            let embed = linear.forward2(embed.clone())?;
            h = h + embed.reshape([batch / frames, frames, channels]).swap_dims(1, 2).unsqueeze_dim::<4>(3);
        }
        let h = self.conv_out.forward(self.norm_out.forward_silu(h)?)?;
        Ok(to_frames(x + h, [height, width]))
    }
}
