//! The segmenter: an image once, then any number of prompts.

use burn::tensor::{Tensor, s};
use kiln_memory::TensorShapes;

use super::{
    config::SegmenterConfig,
    decoder::{Decoded, Decoder},
    encoder::{Encoder, ImageEmbedding},
    prompt::{Prompt, PromptEncoder},
};
use crate::{
    error::ModelError,
    image::{Method, Planes},
    nets::activations::ActivationTap,
    weights::{ModelWeights, WeightBuilder},
};

/// Prompts that are asked at once: each takes a map of the image of its own.
const AT_ONCE: usize = 8;

/// Masks of prompts as the decoder makes them, with how good each of them is.
#[derive(Debug, Clone)]
pub struct MaskScores {
    /// Logits, `[prompts, masks, side, side]`: the three of an ambiguous prompt, or the one of a clear one.
    pub masks: Tensor<4>,
    /// Predicted agreement of each with the truth, `[prompts, masks]`; not held to 0..1.
    pub quality: Tensor<2>,
    /// Height and width of the image.
    pub size: [usize; 2],
}

/// An EfficientSAM segmenter over weight handles.
#[derive(Debug)]
pub struct Segmenter {
    config: SegmenterConfig,
    encoder: Encoder,
    prompts: PromptEncoder,
    decoder: Decoder,
}

impl SegmenterConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<Segmenter, ModelError> {
        WeightBuilder::build("segmenter", weights, |wb| Segmenter::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in EfficientSAM's names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Segmenter::new(self, wb))
    }
}

impl Segmenter {
    fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            encoder: Encoder::new(config, wb)?,
            prompts: PromptEncoder::new(config, wb)?,
            decoder: Decoder::new(config, wb)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// Looks at an image.
    ///
    /// # Shapes
    /// `image` `[1, 3, h, w]` in 0..1, of any size.
    /// # Errors
    /// `ModelError::Input` for another shape, or when weights can't be had.
    pub fn encode(&self, image: &Tensor<4>, tap: ActivationTap<'_>) -> Result<ImageEmbedding, ModelError> {
        let [batch, channels, height, width] = image.dims();
        if batch != 1 || channels != 3 || height == 0 || width == 0 {
            return Err(input("image", "[1, 3, h, w]", image.dims().to_vec()));
        }
        self.encoder.forward(image, tap)
    }

    /// All masks of prompts.
    ///
    /// # Errors
    /// `ModelError::Input` for no prompts or another segmenter's image, or when weights can't be had.
    pub fn predict(
        &self,
        image: &ImageEmbedding,
        prompts: &[Prompt],
        tap: ActivationTap<'_>,
    ) -> Result<MaskScores, ModelError> {
        let Decoded { masks, quality } = self.decoded(image, prompts, tap)?;
        tap.record("single_low_res", &masks.clone().narrow(1, 0, 1));
        let more = self.config.masks - 1;
        let (masks, quality) = (masks.narrow(1, 1, more), quality.narrow(1, 1, more));
        tap.record("low_res", &masks);
        Ok(MaskScores { masks, quality, size: image.size })
    }

    fn decoded(
        &self,
        image: &ImageEmbedding,
        prompts: &[Prompt],
        tap: ActivationTap<'_>,
    ) -> Result<Decoded, ModelError> {
        let (cells, width) = (self.config.cells(), self.config.decoder);
        if image.features.dims() != [1, width, cells, cells] {
            return Err(input("image", "of this segmenter's own encoder", image.features.dims().to_vec()));
        }
        if prompts.is_empty() {
            return Err(input("prompts", "at least one", vec![0]));
        }
        let device = image.features.device();
        let grid = self.prompts.grid(&device)?;
        tap.record("dense_pe", &super::encoder::map(grid.clone(), cells));
        let tokens = self.prompts.tokens(prompts, image.size, &device)?;
        tap.record("sparse", &tokens);
        self.decoder.forward(image.features.clone(), tokens, &grid, tap)
    }

    /// The best mask of each prompt at the image's size: 1 on the thing, 0 elsewhere, row after row. Of masks that are
    /// equally good the first.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and `ModelError::NotFinite` when weights or image are no numbers.
    pub fn masks(&self, image: &ImageEmbedding, prompts: &[Prompt]) -> Result<Vec<Vec<bool>>, ModelError> {
        let mut found = Vec::with_capacity(prompts.len());
        for prompts in prompts.chunks(AT_ONCE) {
            let scores = self.predict(image, prompts, ActivationTap::default())?;
            for (i, best) in scores.best()?.into_iter().enumerate() {
                let logits = scores.enlarged(i, best)?;
                found.push(logits.into_values().into_iter().map(|v| v >= 0.0).collect());
            }
        }
        Ok(found)
    }
}

impl MaskScores {
    /// The best mask of each prompt.
    ///
    /// # Errors
    /// `ModelError::NotFinite` when a quality is no number.
    pub fn best(&self) -> Result<Vec<usize>, ModelError> {
        let broken = ModelError::NotFinite { network: "segmenter", what: "masks" };
        let Ok(quality) = self.quality.clone().try_to_vec_as::<f32>() else { return Err(broken) };
        if quality.iter().any(|v| v.is_nan()) {
            return Err(broken);
        }
        let masks = self.quality.dims()[1].max(1);
        let best = |row: &[f32]| (1..masks).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        Ok(quality.chunks_exact(masks).map(best).collect())
    }

    /// One mask's logits at the image's size.
    ///
    /// # Errors
    /// `ModelError::NotFinite` when they can't be read.
    pub fn enlarged(&self, prompt: usize, mask: usize) -> Result<Planes, ModelError> {
        let [height, width] = self.size;
        let logits = self.masks.clone().slice(s![prompt..=prompt, mask..=mask, .., ..]);
        let unreadable = |_| ModelError::NotFinite { network: "segmenter", what: "masks" };
        Ok(Planes::from_tensor(&logits).map_err(unreadable)?.resize(width, height, Method::Bicubic))
    }
}

fn input(what: &'static str, expected: &str, found: Vec<usize>) -> ModelError {
    ModelError::Input { network: "segmenter", what, expected: expected.into(), found }
}
