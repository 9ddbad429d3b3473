//! The detector: layers as ultralytics numbers them, over weight handles.

use burn::tensor::Tensor;
use kiln_memory::TensorShapes;

use super::{
    block::{Chain, ChainShape, Pooling},
    config::{DetectorConfig, Version, text_layers},
    conv_norm::{ConvNorm, ConvShape},
    head::{Head, LevelOutput},
    text_update::TextUpdate,
};
use crate::{
    error::ModelError,
    nets::activations::ActivationTap,
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// Pixels to one place of the coarsest map: sides of images are multiples of it.
const COARSEST: usize = 32;

/// A YOLO-World detector over weight handles.
#[derive(Debug)]
pub struct Detector {
    config: DetectorConfig,
    /// Layers 0, 1, 3, 5 and 7, each halving.
    halvings: Vec<ConvNorm>,
    /// Layers 2, 4, 6 and 8.
    chains: Vec<Chain>,
    pooling: Pooling,
    /// The layers that look at the texts.
    texts: Vec<Chain>,
    update: Option<TextUpdate>,
    /// The halvings between the last three of them.
    down: Vec<ConvNorm>,
    head: Head,
}

impl DetectorConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Detector, ModelError> {
        WeightBuilder::build("detector", weights, |wb| Detector::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in ultralytics' names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Detector::new(self, wb))
    }
}

impl Detector {
    fn new(config: &DetectorConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let fused = config.fused;
        let [first, second, third, fourth, fifth] = config.channels;
        let halving = |layer: usize, inputs, outputs| {
            let shape = ConvShape { inputs, outputs, kernel: 3, stride: 2, fused };
            ConvNorm::new(wb, &format!("model.{layer}"), shape)
        };
        let chain = |i: usize, channels| {
            let shape = ChainShape { inputs: channels, outputs: channels, repeats: config.repeats[i], fused };
            Chain::new(wb, &format!("model.{}", 2 * i + 2), shape)
        };
        let layers = text_layers(config.version);
        let texts = |i: usize, inputs, outputs| {
            let shape = ChainShape { inputs, outputs, repeats: config.text_repeats[i], fused };
            Chain::with_texts(wb, &format!("model.{}", layers[i]), shape, config.heads[i], config.text)
        };
        let update = (config.version == Version::V1)
            .then(|| TextUpdate::new(wb, "model.16", [third, fourth, fifth], config.text, config.tokens));
        let inputs = [3, first, second, third, fourth];
        let halvings = [0, 1, 3, 5, 7].into_iter().zip(inputs.into_iter().zip(config.channels));
        Ok(Self {
            halvings: halvings.map(|(layer, (from, to))| halving(layer, from, to)).collect::<Result<_, _>>()?,
            chains: [second, third, fourth, fifth]
                .into_iter()
                .enumerate()
                .map(|(i, channels)| chain(i, channels))
                .collect::<Result<_, _>>()?,
            pooling: Pooling::new(wb, "model.9", fifth, fused)?,
            texts: vec![
                texts(0, fifth + fourth, fourth)?,
                texts(1, fourth + third, third)?,
                texts(2, third + fourth, fourth)?,
                texts(3, fourth + fifth, fifth)?,
            ],
            update: update.transpose()?,
            down: vec![halving(layers[2] - 2, third, third)?, halving(layers[3] - 2, fourth, fourth)?],
            head: Head::new(config, wb)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// For each of three maps, at an eighth, a sixteenth and a thirty-second of the image's sides: the bins of box sides and
    /// the classes' logits.
    ///
    /// # Shapes
    /// `x` `[1, 3, h, w]` in 0..1, both sides multiples of 32; `text` `[classes, text]`; returns pairs of
    /// `[1, 64, h / stride, w / stride]` and `[1, classes, h / stride, w / stride]`.
    /// # Errors
    /// `ModelError::Input` for other shapes, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        text: &Tensor<2>,
        tap: ActivationTap<'_>,
    ) -> Result<Vec<(Tensor<4>, Tensor<4>)>, ModelError> {
        self.check(&x, text)?;
        let [third, fourth, fifth] = self.backbone(x, text, tap)?;
        let maps = self.neck([third, fourth, fifth], text, tap)?;
        let levels = self.head.forward(maps, text, tap)?;
        Ok(levels.into_iter().map(|LevelOutput { boxes, logits }| (boxes, logits)).collect())
    }

    fn check(&self, x: &Tensor<4>, text: &Tensor<2>) -> Result<(), ModelError> {
        let [batch, channels, height, width] = x.dims();
        let fits = |side: usize| side != 0 && side.is_multiple_of(COARSEST);
        if batch != 1 || channels != 3 || !fits(height) || !fits(width) {
            let expected = format!("[1, 3, h, w], both multiples of {COARSEST}");
            return Err(input("image", expected, x.dims().to_vec()));
        }
        let [classes, wide] = text.dims();
        if classes == 0 || wide != self.config.text {
            let expected = format!("[classes, {}], at least one class", self.config.text);
            return Err(input("text", expected, vec![classes, wide]));
        }
        Ok(())
    }

    /// Maps of layers 4, 6 and 9.
    fn backbone(&self, x: Tensor<4>, text: &Tensor<2>, tap: ActivationTap<'_>) -> Result<[Tensor<4>; 3], ModelError> {
        let mut maps = Vec::new();
        let mut x = self.halvings[0].forward(x)?;
        tap.record("model.0", &x);
        for (i, (halving, chain)) in self.halvings[1..].iter().zip(&self.chains).enumerate() {
            x = halving.forward(x)?;
            tap.record(&format!("model.{}", 2 * i + 1), &x);
            x = chain.forward(x, text)?;
            tap.record(&format!("model.{}", 2 * i + 2), &x);
            if i > 0 {
                maps.push(x.clone());
            }
        }
        let fifth = self.pooling.forward(x)?;
        tap.record("model.9", &fifth);
        let mut maps = maps.into_iter();
        let (Some(third), Some(fourth)) = (maps.next(), maps.next()) else {
            return Err(input("image", "a detector of five halvings".into(), vec![self.halvings.len()]));
        };
        Ok([third, fourth, fifth])
    }

    /// From coarse to fine and back, with the texts: the maps of the head's levels.
    fn neck(
        &self,
        [third, fourth, fifth]: [Tensor<4>; 3],
        text: &Tensor<2>,
        tap: ActivationTap<'_>,
    ) -> Result<[Tensor<4>; 3], ModelError> {
        let layers = text_layers(self.config.version);
        let join = |x: Tensor<4>, other: &Tensor<4>| Tensor::cat(vec![x, other.clone()], 1);
        let record = |layer: usize, x: &Tensor<4>| tap.record(&format!("model.{layer}"), x);
        let middle = self.texts[0].forward(join(doubled(fifth.clone())?, &fourth), text)?;
        record(layers[0], &middle);
        let fine = self.texts[1].forward(join(doubled(middle.clone())?, &third), text)?;
        record(layers[1], &fine);
        let updated = match &self.update {
            Some(update) => {
                let updated = update.forward(text, [fine.clone(), middle.clone(), fifth.clone()])?;
                let [classes, width] = updated.dims();
                tap.record("model.16", &updated.clone().reshape([1, classes, width]));
                updated
            }
            None => text.clone(),
        };
        let down = self.down[0].forward(fine.clone())?;
        record(layers[2] - 2, &down);
        let middle = self.texts[2].forward(join(down, &middle), &updated)?;
        record(layers[2], &middle);
        let down = self.down[1].forward(middle.clone())?;
        record(layers[3] - 2, &down);
        let coarse = self.texts[3].forward(join(down, &fifth), &updated)?;
        record(layers[3], &coarse);
        Ok([fine, middle, coarse])
    }
}

fn doubled(x: Tensor<4>) -> Result<Tensor<4>, ModelError> {
    let [_, _, height, width] = x.dims();
    Ok(ops::upsample_nearest(x, 2 * height, 2 * width)?)
}

fn input(what: &'static str, expected: String, found: Vec<usize>) -> ModelError {
    ModelError::Input { network: "detector", what, expected, found }
}
