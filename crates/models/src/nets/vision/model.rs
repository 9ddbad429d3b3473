//! CLIP's image encoder: a square image in, tokens and one vector out.

use burn::tensor::Tensor;
use kiln_memory::{TensorShapes, Weight};

use super::config::VisionConfig;
use crate::{
    error::ModelError,
    nets::{
        clip::{Layer, LayerShape},
        layers::{LayerNorm, Linear},
    },
    ops::{self, Mask, Padding},
    weights::{ModelWeights, WeightBuilder},
};

/// What an image encoder answers.
#[derive(Debug, Clone)]
pub struct VisionOutput {
    /// The last layer's tokens, not normalised, the image's own first: `[batch, 1 + patches, width]`.
    pub tokens: Tensor<3>,
    /// The tokens of the layer before the last.
    pub penultimate: Tensor<3>,
    /// The image's own token, normalised and projected, `[batch, projection]`, where the encoder has a projection.
    pub embeds: Option<Tensor<2>>,
}

/// A CLIP image encoder over weight handles.
#[derive(Debug)]
pub struct VisionModel {
    config: VisionConfig,
    class: Weight,
    patches: Weight,
    positions: Weight,
    norm_in: LayerNorm,
    layers: Vec<Layer>,
    norm_out: LayerNorm,
    projection: Option<Linear>,
    /// Where its weights come from; nothing in a survey.
    weights: Option<ModelWeights>,
}

impl VisionConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<VisionModel, ModelError> {
        let model = WeightBuilder::build("CLIP image encoder", weights, |wb| VisionModel::new(self, wb))?;
        Ok(VisionModel { weights: Some(weights.clone()), ..model })
    }

    /// Name and shape of every tensor of this network, in Hugging Face's names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| VisionModel::new(self, wb))
    }
}

impl VisionModel {
    fn new(config: &VisionConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let VisionConfig { width, patch, image, heads, mlp, activation, .. } = *config;
        let tokens = (image / patch.max(1)).pow(2) + 1;
        let shape = LayerShape { width, mlp, heads, activation, mask: Mask::None };
        let name = |end: &str| format!("vision_model.{end}");
        let layer = |i| Layer::new(shape, wb, &name(&format!("encoder.layers.{i}")));
        let projection = |outputs| Linear::without_bias(wb, "visual_projection", width, outputs);
        Ok(Self {
            class: wb.get(&name("embeddings.class_embedding"), &[width])?,
            patches: wb.get(&name("embeddings.patch_embedding.weight"), &[width, 3, patch, patch])?,
            positions: wb.get(&name("embeddings.position_embedding.weight"), &[tokens, width])?,
            // The name is misspelt in every file.
            norm_in: LayerNorm::new(wb, &name("pre_layrnorm"), width)?,
            layers: (0..config.layers).map(layer).collect::<Result<_, _>>()?,
            norm_out: LayerNorm::new(wb, &name("post_layernorm"), width)?,
            projection: config.projection.map(projection).transpose()?,
            weights: None,
            config: config.clone(),
        })
    }

    /// Where its weights come from.
    pub(crate) fn weights(&self) -> Option<&ModelWeights> {
        self.weights.as_ref()
    }

    /// The sizes of this network.
    pub fn config(&self) -> &VisionConfig {
        &self.config
    }

    /// # Shapes
    /// `image` `[batch, 3, side, side]`, [`prepared`](super::prepare::prepared).
    /// # Errors
    /// `ModelError::Input` for another shape, or when weights can't be had.
    pub fn forward(&self, image: Tensor<4>) -> Result<VisionOutput, ModelError> {
        let side = self.config.image;
        let [batch, channels, height, width] = image.dims();
        if [channels, height, width] != [3, side, side] || batch == 0 {
            let (expected, found) = (format!("[batch, 3, {side}, {side}]"), vec![batch, channels, height, width]);
            return Err(ModelError::Input { network: "CLIP image encoder", what: "image", expected, found });
        }
        let mut penultimate = self.norm_in.forward(self.embedded(image)?)?;
        let mut tokens = penultimate.clone();
        for layer in &self.layers {
            penultimate = tokens.clone();
            tokens = layer.forward(tokens)?;
        }
        let own = self.norm_out.forward(tokens.clone().narrow(1, 0, 1))?;
        let embeds = self.projection.as_ref().map(|projection| projection.forward(own)).transpose()?;
        let embeds = embeds.map(|embeds| {
            let [_, _, projection] = embeds.dims();
            embeds.reshape([batch, projection])
        });
        Ok(VisionOutput { tokens, penultimate, embeds })
    }

    /// The image's own token and one per patch, each with its position.
    fn embedded(&self, image: Tensor<4>) -> Result<Tensor<3>, ModelError> {
        let ([batch, ..], &VisionConfig { width, patch, .. }) = (image.dims(), &self.config);
        let device = image.device();
        let weight = self.patches.acquire::<4>(&device)?;
        let patches = ops::conv2d(image, weight.tensor(), None, patch, Padding::default())?;
        let [_, _, rows, columns] = patches.dims();
        let patches = patches.reshape([batch, width, rows * columns]).swap_dims(1, 2);
        let class = self.class.acquire::<1>(&device)?.tensor().reshape([1, 1, width]).repeat_dim(0, batch);
        let positions = self.positions.acquire::<2>(&device)?.tensor().unsqueeze::<3>();
        Ok(Tensor::cat(vec![class, patches], 1) + positions)
    }
}
