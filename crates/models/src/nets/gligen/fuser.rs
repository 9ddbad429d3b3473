//! A fuser: tokens of an image attend to themselves and to placed texts, by as much as two gates let through.
//!
//! Source: GLIGEN `ldm/modules/attention.py`, `GatedSelfAttentionDense`.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::config::FuserConfig;
use crate::{
    error::ModelError,
    nets::{
        hooks::ActiveHooks,
        layers::{LayerNorm, Linear},
        unet::Attention,
    },
    ops,
    weights::WeightBuilder,
};

/// One fuser over weight handles.
#[derive(Debug)]
pub(super) struct Fuser {
    channels: usize,
    linear: Linear,
    norms: [LayerNorm; 2],
    attention: Attention,
    gate: Linear,
    out: Linear,
    /// Of attention and of the layers behind it: one number each, whose tanh is the share that is added.
    shares: [Weight; 2],
}

impl Fuser {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        number: usize,
        config: FuserConfig,
        token: usize,
    ) -> Result<Self, ModelError> {
        let FuserConfig { channels, heads } = config;
        let name = |end: &str| format!("fusers.{number}.{end}");
        Ok(Self {
            channels,
            linear: Linear::new(wb, &name("linear"), token, channels)?,
            norms: [LayerNorm::new(wb, &name("norm1"), channels)?, LayerNorm::new(wb, &name("norm2"), channels)?],
            attention: Attention::new(wb, &name("attn"), channels, channels, heads)?,
            gate: Linear::new(wb, &name("ff.net.0.proj"), channels, channels * 8)?,
            out: Linear::new(wb, &name("ff.net.2"), channels * 4, channels)?,
            shares: [wb.get(&name("alpha_attn"), &[])?, wb.get(&name("alpha_dense"), &[])?],
        })
    }

    /// # Shapes
    /// `x` `[batch, tokens, channels]`, kept; `texts` `[1, boxes, token]`.
    pub(super) fn forward(&self, x: Tensor<3>, texts: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let [batch, tokens, channels] = x.dims();
        if channels != self.channels {
            let expected = format!("[batch, tokens, {}]: this GLIGEN is for another model", self.channels);
            let found = vec![batch, tokens, channels];
            return Err(ModelError::Input { network: "GLIGEN", what: "tokens", expected, found });
        }
        let [attention, dense] = [share(&self.shares[0])?, share(&self.shares[1])?];
        let texts = self.linear.forward(texts.clone())?.repeat_dim(0, batch);
        let all = self.norms[0].forward(Tensor::cat(vec![x.clone(), texts], 1))?;
        let seen = self.attention.forward(all.clone(), all, &ActiveHooks::default())?.narrow(1, 0, tokens);
        let x = x + seen * attention;
        let wide = ops::geglu(self.gate.forward(self.norms[1].forward(x.clone())?)?)?;
        Ok(x + self.out.forward(wide)? * dense)
    }
}

fn share(weight: &Weight) -> Result<f32, ModelError> {
    Ok(weight.read()?.first().copied().unwrap_or(0.0).tanh())
}
