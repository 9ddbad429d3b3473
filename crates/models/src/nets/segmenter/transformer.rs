//! The two-way transformer: a prompt's tokens look at the image, and the image at the tokens.

use burn::tensor::Tensor;

use super::{attention::Attention, config::SegmenterConfig, mlp::Mlp};
use crate::{
    error::ModelError,
    nets::{activations::ActivationTap, layers::LayerNorm},
    weights::WeightBuilder,
};

/// One exchange. Unlike in Segment Anything, the first layer too adds its attention to its input.
#[derive(Debug)]
struct Layer {
    own: Attention,
    norm1: LayerNorm,
    to_image: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    norm3: LayerNorm,
    to_tokens: Attention,
    norm4: LayerNorm,
}

impl Layer {
    fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>, name: &str) -> Result<Self, ModelError> {
        let SegmenterConfig { decoder: width, decoder_heads: heads, cross, decoder_mlp, .. } = *config;
        let attention = |end: &str, inner| Attention::new(wb, &format!("{name}.{end}"), [width, inner], heads);
        let norm = |n: usize| LayerNorm::new(wb, &format!("{name}.norm{n}"), width);
        Ok(Self {
            own: attention("self_attn", width)?,
            norm1: norm(1)?,
            to_image: attention("cross_attn_token_to_image", cross)?,
            norm2: norm(2)?,
            mlp: Mlp::new(wb, &format!("{name}.mlp"), &[width, decoder_mlp, width])?,
            norm3: norm(3)?,
            to_tokens: attention("cross_attn_image_to_token", cross)?,
            norm4: norm(4)?,
        })
    }

    /// `q` are the tokens with their codes, where they have them already.
    fn forward(
        &self,
        q: Tensor<3>,
        image: Tensor<3>,
        codes: &Tensor<3>,
        grid: &Tensor<3>,
    ) -> Result<(Tensor<3>, Tensor<3>), ModelError> {
        let own = self.own.forward(q.clone(), q.clone(), q.clone())?;
        let tokens = self.norm1.forward(q + own)?;
        let keys = image.clone() + grid.clone();
        let seen = self.to_image.forward(tokens.clone() + codes.clone(), keys.clone(), image.clone())?;
        let tokens = self.norm2.forward(tokens + seen)?;
        let tokens = self.norm3.forward(tokens.clone() + self.mlp.forward(tokens)?)?;
        let told = self.to_tokens.forward(keys, tokens.clone() + codes.clone(), tokens.clone())?;
        Ok((tokens, self.norm4.forward(image + told)?))
    }
}

/// Source: EfficientSAM `two_way_transformer.py`.
#[derive(Debug)]
pub(super) struct Transformer {
    layers: Vec<Layer>,
    last: Attention,
    norm: LayerNorm,
}

impl Transformer {
    pub(super) fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let name = |end: &str| format!("mask_decoder.transformer.{end}");
        let layer = |i| Layer::new(config, wb, &name(&format!("layers.{i}")));
        let sizes = [config.decoder, config.cross];
        Ok(Self {
            layers: (0..config.decoder_layers).map(layer).collect::<Result<_, _>>()?,
            last: Attention::new(wb, &name("final_attn_token_to_image"), sizes, config.decoder_heads)?,
            norm: LayerNorm::new(wb, &name("norm_final_attn"), config.decoder)?,
        })
    }

    /// What tokens and image become.
    ///
    /// # Shapes
    /// `tokens` `[prompts, tokens, width]`, `image` `[prompts, places, width]`, `grid` `[1, places, width]`; both kept.
    pub(super) fn forward(
        &self,
        tokens: Tensor<3>,
        image: Tensor<3>,
        grid: &Tensor<3>,
        tap: ActivationTap<'_>,
    ) -> Result<(Tensor<3>, Tensor<3>), ModelError> {
        let codes = tokens.clone();
        let (mut tokens, mut image) = (tokens, image);
        for (i, layer) in self.layers.iter().enumerate() {
            let q = if i == 0 { tokens } else { tokens + codes.clone() };
            (tokens, image) = layer.forward(q, image, &codes, grid)?;
            tap.record(&format!("layer{i}.queries"), &tokens);
            tap.record(&format!("layer{i}.keys"), &image);
        }
        let seen = self.last.forward(tokens.clone() + codes, image.clone() + grid.clone(), image.clone())?;
        let tokens = self.norm.forward(tokens + seen)?;
        tap.record("tokens", &tokens);
        Ok((tokens, image))
    }
}
