//! The mask decoder: tokens of a prompt to masks, and to how good each of them is.

use burn::tensor::{Device, Tensor};
use kiln_memory::Weight;

use super::{
    config::SegmenterConfig,
    encoder::{map, tokens},
    mlp::Mlp,
    transformer::Transformer,
};
use crate::{
    error::ModelError,
    nets::{activations::ActivationTap, layers::GroupNorm},
    ops,
    weights::WeightBuilder,
};

/// A transposed convolution of two by two places, step two: every place becomes four, none of them overlap, so it is a
/// product for each place and a shuffle.
#[derive(Debug)]
struct Doubling {
    weight: Weight,
    bias: Weight,
    outputs: usize,
}

impl Doubling {
    /// Takes `{name}.weight` `[inputs, outputs, 2, 2]` and `{name}.bias`.
    fn new(wb: &WeightBuilder<'_>, name: &str, inputs: usize, outputs: usize) -> Result<Self, ModelError> {
        let weight = wb.get(&format!("{name}.weight"), &[inputs, outputs, 2, 2])?;
        Ok(Self { weight, bias: wb.get(&format!("{name}.bias"), &[outputs])?, outputs })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let (device, inputs, outputs) = (x.device(), x.dims()[1], self.outputs);
        let weight = self.weight.acquire::<4>(&device)?.tensor();
        let weight = weight.reshape([inputs, outputs * 4]).swap_dims(0, 1).reshape([outputs * 4, inputs, 1, 1]);
        let bias = self.bias.acquire::<1>(&device)?.tensor();
        let bias = bias.reshape([outputs, 1]).repeat_dim(1, 4).reshape([outputs * 4]);
        Ok(ops::pixel_shuffle(ops::conv2d(x, weight, Some(bias), 1, 0)?, 2)?)
    }
}

/// Masks and the quality of each, for every prompt.
pub(super) struct Decoded {
    /// `[prompts, masks, side, side]`, before any is left out.
    pub(super) masks: Tensor<4>,
    /// `[prompts, masks]`, predicted share of agreement with the truth; not held to 0..1.
    pub(super) quality: Tensor<2>,
}

/// Source: EfficientSAM `efficient_sam_decoder.py`.
#[derive(Debug)]
pub(super) struct Decoder {
    quality_token: Weight,
    mask_tokens: Weight,
    transformer: Transformer,
    first: Doubling,
    norm: GroupNorm,
    second: Doubling,
    hyper: Vec<Mlp>,
    quality: Mlp,
    config: SegmenterConfig,
}

impl Decoder {
    pub(super) fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let SegmenterConfig { decoder: width, masks, upscaled: [first, second], .. } = *config;
        let name = |end: &str| format!("mask_decoder.{end}");
        let upscaling = |end: &str| name(&format!("final_output_upscaling_layers.{end}"));
        let hyper = |i| Mlp::new(wb, &name(&format!("output_hypernetworks_mlps.{i}")), &[width, width, width, second]);
        Ok(Self {
            quality_token: wb.get(&name("iou_token.weight"), &[1, width])?,
            mask_tokens: wb.get(&name("mask_tokens.weight"), &[masks, width])?,
            transformer: Transformer::new(config, wb)?,
            first: Doubling::new(wb, &upscaling("0.0"), width, first)?,
            norm: GroupNorm::new(wb, &upscaling("0.1"), 1, first, 1e-5)?,
            second: Doubling::new(wb, &upscaling("1.0"), first, second)?,
            hyper: (0..masks).map(hyper).collect::<Result<_, _>>()?,
            quality: Mlp::new(wb, &name("iou_prediction_head"), &[width, width, width, masks])?,
            config: config.clone(),
        })
    }

    /// # Shapes
    /// `features` `[1, width, cells, cells]`, `prompts` `[prompts, 6, width]`, `grid` `[1, cells², width]`.
    pub(super) fn forward(
        &self,
        features: Tensor<4>,
        prompts: Tensor<3>,
        grid: &Tensor<3>,
        tap: ActivationTap<'_>,
    ) -> Result<Decoded, ModelError> {
        let count = prompts.dims()[0];
        let own = self.own_tokens(&prompts.device())?.repeat_dim(0, count);
        let image = tokens(features).repeat_dim(0, count);
        let (queries, image) = self.transformer.forward(Tensor::cat(vec![own, prompts], 1), image, grid, tap)?;
        let upscaled = self.upscaled(map(image, self.config.cells()), tap)?;
        let vectors = self.vectors(&queries)?;
        tap.record("hyper", &vectors);
        let ([_, channels, side, _], masks) = (upscaled.dims(), self.config.masks);
        let places = upscaled.reshape([count, channels, side * side]);
        let masks = vectors.matmul(places).reshape([count, masks, side, side]);
        let quality = self.quality.forward(queries.narrow(1, 0, 1))?.reshape([count, self.config.masks]);
        tap.record("iou_all4", &quality);
        Ok(Decoded { masks, quality })
    }

    /// The token of the masks' quality and those of the masks, `[1, 1 + masks, width]`.
    fn own_tokens(&self, device: &Device) -> Result<Tensor<3>, ModelError> {
        let quality = self.quality_token.acquire::<2>(device)?.tensor();
        Ok(Tensor::cat(vec![quality, self.mask_tokens.acquire::<2>(device)?.tensor()], 0).unsqueeze())
    }

    /// The image's map, four times as high and wide.
    fn upscaled(&self, image: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        let x = ops::gelu(self.norm.forward(self.first.forward(image)?)?)?;
        tap.record("upscale0", &x);
        let x = ops::gelu(self.second.forward(x)?)?;
        tap.record("upscale1", &x);
        Ok(x)
    }

    /// By what each channel of the map counts in each mask, `[prompts, masks, channels]`.
    fn vectors(&self, queries: &Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let vector = |(i, mlp): (usize, &Mlp)| mlp.forward(queries.clone().narrow(1, 1 + i, 1));
        Ok(Tensor::cat(self.hyper.iter().enumerate().map(vector).collect::<Result<Vec<_>, _>>()?, 1))
    }
}
