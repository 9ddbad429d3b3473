//! The residual block of the UNet. Knows its channels, not its place.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    nets::{
        activations::ActivationTap,
        frames::{Blend, FrameResidual},
        layers::{Conv2d, GroupNorm, Linear},
    },
    weights::WeightBuilder,
};

/// `skip(x) + conv(silu(norm(conv(silu(norm(x))) + linear(silu(emb)))))`.
///
/// Source: CompVis latent-diffusion, `openaimodel.py`, `ResBlock`.
#[derive(Debug)]
pub(crate) struct Residual {
    path: String,
    norm_in: GroupNorm,
    conv_in: Conv2d,
    embed: Linear,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    skip: Option<Conv2d>,
    /// Over frames, with the share of the map without it.
    time: Option<Box<(FrameResidual, Blend)>>,
}

impl Residual {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        path: String,
        inputs: usize,
        outputs: usize,
        embed: usize,
    ) -> Result<Self, ModelError> {
        let name = |end: &str| format!("{path}.{end}");
        let skip = (inputs != outputs).then(|| Conv2d::new(wb, &name("skip_connection"), inputs, outputs, 1));
        Ok(Self {
            norm_in: GroupNorm::new(wb, &name("in_layers.0"), 32, inputs, 1e-5)?,
            conv_in: Conv2d::new(wb, &name("in_layers.2"), inputs, outputs, 3)?,
            embed: Linear::new(wb, &name("emb_layers.1"), embed, outputs)?,
            norm_out: GroupNorm::new(wb, &name("out_layers.0"), 32, outputs, 1e-5)?,
            conv_out: Conv2d::new(wb, &name("out_layers.3"), outputs, outputs, 3)?,
            skip: skip.transpose()?,
            time: None,
            path,
        })
    }

    /// With a residual block over frames behind it, mixed with what goes in there.
    ///
    /// Source: Stability AI, generative-models, `VideoResBlock`.
    pub(super) fn over_frames(self, wb: &WeightBuilder<'_>, outputs: usize, embed: usize) -> Result<Self, ModelError> {
        let block = FrameResidual::new(wb, &format!("{}.time_stack", self.path), outputs, Some(embed))?;
        let blend = Blend::new(wb, &format!("{}.time_mixer.mix_factor", self.path))?;
        Ok(Self { time: Some(Box::new((block, blend))), ..self })
    }

    /// # Shapes
    /// `x` `[batch, in, h, w]`, `embed_silu` `[batch, embed]` (after its SiLU); returns `[batch, out, h, w]`.
    pub(super) fn forward(
        &self,
        x: Tensor<4>,
        embed_silu: &Tensor<2>,
        frames: usize,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        let h = self.conv_in.forward(self.norm_in.forward_silu(x.clone())?)?;
        tap.record_part(&self.path, "in_layers", &h);
        let embed = self.embed.forward2(embed_silu.clone())?;
        tap.record_part(&self.path, "emb_layers", &embed);
        let [batch, channels] = embed.dims();
        let h = h + embed.reshape([batch, channels, 1, 1]);
        let h = self.conv_out.forward(self.norm_out.forward_silu(h)?)?;
        tap.record_part(&self.path, "out_layers", &h);
        let skip = match &self.skip {
            Some(conv) => conv.forward(x)?,
            None => x,
        };
        tap.record_part(&self.path, "skip_connection", &skip);
        let mut y = skip + h;
        if let Some((block, blend)) = self.time.as_deref() {
            let later = block.forward(y.clone(), frames, Some(embed_silu))?;
            y = blend.mix(y, later)?;
        }
        tap.record(&self.path, &y);
        Ok(y)
    }
}
