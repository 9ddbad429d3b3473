//! The head: for each place of three maps, how far a box reaches from it, and how well each text fits.

use burn::tensor::Tensor;
use kiln_memory::Weight;

use super::{
    config::{DetectorConfig, Version, head_layer},
    conv_norm::{BatchNorm, ConvNorm, ConvShape},
    decode::BINS,
};
use crate::{
    error::ModelError,
    nets::{activations::ActivationTap, layers::Conv2d},
    ops,
    weights::WeightBuilder,
};

/// Two convolutions and a last one without norm.
#[derive(Debug)]
struct Branch {
    first: ConvNorm,
    second: ConvNorm,
    last: Conv2d,
}

impl Branch {
    fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        [inputs, hidden, outputs]: [usize; 3],
        fused: bool,
    ) -> Result<Self, ModelError> {
        let conv = |end: &str, inputs| {
            let shape = ConvShape { inputs, outputs: hidden, kernel: 3, stride: 1, fused };
            ConvNorm::new(wb, &format!("{name}.{end}"), shape)
        };
        Ok(Self {
            first: conv("0", inputs)?,
            second: conv("1", hidden)?,
            last: Conv2d::new(wb, &format!("{name}.2"), hidden, outputs, 1)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        self.last.forward(self.second.forward(self.first.forward(x)?)?)
    }
}

/// The head of one map.
#[derive(Debug)]
struct Level {
    boxes: Branch,
    embeddings: Branch,
    scale: Weight,
    bias: Weight,
    /// Version 2's, in place of making every embedding one long.
    norm: Option<BatchNorm>,
}

/// What the head says of one map: 64 channels of box sides, and one logit for each class.
#[derive(Debug)]
pub(super) struct LevelOutput {
    pub(super) boxes: Tensor<4>,
    pub(super) logits: Tensor<4>,
}

/// Source: ultralytics `WorldDetect`, `ContrastiveHead` and `BNContrastiveHead`.
#[derive(Debug)]
pub(super) struct Head {
    levels: Vec<Level>,
}

impl Head {
    pub(super) fn new(config: &DetectorConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let layer = head_layer(config.version);
        let [boxes, embeddings] = config.hidden;
        let level = |(i, channels): (usize, usize)| {
            let branch = |part: &str, hidden, outputs| {
                Branch::new(wb, &format!("model.{layer}.{part}.{i}"), [channels, hidden, outputs], config.fused)
            };
            let name = |end: &str| format!("model.{layer}.cv4.{i}.{end}");
            let norm = (config.version == Version::V2).then(|| BatchNorm::new(wb, &name("norm"), config.text));
            Ok(Level {
                boxes: branch("cv2", boxes, 4 * BINS)?,
                embeddings: branch("cv3", embeddings, config.text)?,
                scale: wb.get(&name("logit_scale"), &[])?,
                bias: wb.get(&name("bias"), &[1])?,
                norm: norm.transpose()?,
            })
        };
        let maps = config.channels.into_iter().skip(2).enumerate();
        Ok(Self { levels: maps.map(level).collect::<Result<_, ModelError>>()? })
    }

    /// # Shapes
    /// `maps` `[1, channels, h, w]` each, `text` `[classes, text]`.
    pub(super) fn forward(
        &self,
        maps: [Tensor<4>; 3],
        text: &Tensor<2>,
        tap: ActivationTap<'_>,
    ) -> Result<Vec<LevelOutput>, ModelError> {
        let text = text.clone() / text.clone().square().sum_dim(1).sqrt();
        let one = |((i, level), map): ((usize, &Level), Tensor<4>)| {
            let boxes = level.boxes.forward(map.clone())?;
            tap.record(&format!("head.cv2.{i}"), &boxes);
            let embeddings = level.embeddings.forward(map)?;
            tap.record(&format!("head.cv3.{i}"), &embeddings);
            let logits = level.logits(embeddings, &text)?;
            tap.record(&format!("head.cv4.{i}"), &logits);
            Ok(LevelOutput { boxes, logits })
        };
        self.levels.iter().enumerate().zip(maps).map(one).collect()
    }
}

impl Level {
    fn logits(&self, x: Tensor<4>, text: &Tensor<2>) -> Result<Tensor<4>, ModelError> {
        let (device, [_, channels, ..], [classes, width]) = (x.device(), x.dims(), text.dims());
        let x = if let Some(norm) = &self.norm {
            let [factor, summand] = norm.factors(&device)?;
            x * factor.reshape([1, channels, 1, 1]) + summand.reshape([1, channels, 1, 1])
        } else {
            let length = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
            x / length
        };
        let fits = ops::conv2d(x, text.clone().reshape([classes, width, 1, 1]), None, 1, 0)?;
        let scale = self.scale.acquire_as([1, 1, 1, 1], &device)?.tensor().exp();
        Ok(fits * scale + self.bias.acquire_as([1, 1, 1, 1], &device)?.tensor())
    }
}
