//! The style adapter: a few tokens that attend to an image's tokens and come out as words of its style.

use burn::tensor::Tensor;
use kiln_memory::{TensorShapes, Weight};

use crate::{
    error::ModelError,
    nets::{
        clip::{Activation, Layer, LayerShape},
        layers::LayerNorm,
    },
    ops::{self, Mask},
    weights::{ModelWeights, WeightBuilder},
};

/// The sizes of a style adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StyleConfig {
    /// Channels of the image's tokens.
    pub width: usize,
    /// Channels of the words it makes.
    pub context: usize,
    /// How many words it makes.
    pub words: usize,
    /// Transformer blocks.
    pub layers: usize,
}

/// A style adapter over weight handles.
#[derive(Debug)]
pub struct StyleModel {
    config: StyleConfig,
    words: Weight,
    norm_in: LayerNorm,
    layers: Vec<Layer>,
    norm_out: LayerNorm,
    /// `[width, context]`, used as `x · P`.
    projection: Weight,
}

/// Attention heads of the released adapter; a file doesn't say.
const HEADS: usize = 8;

impl StyleConfig {
    /// Reads the configuration off names and shapes; `None` when they are no style adapter's.
    pub fn from_names(names: &TensorShapes) -> Option<Self> {
        let [1, words, width] = *names.shape("style_embedding")? else { return None };
        let context = names.side("proj", 1)?;
        let layers = names.count("transformer_layers.");
        (width % HEADS == 0).then_some(Self { width, context, words, layers })
    }

    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<StyleModel, ModelError> {
        WeightBuilder::build("style adapter", weights, |wb| StyleModel::new(self, wb))
    }

    /// Name and shape of every tensor of this network, attention in three parts.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| StyleModel::new(self, wb))
    }
}

impl StyleModel {
    fn new(config: &StyleConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let StyleConfig { width, context, words, layers } = *config;
        let shape =
            LayerShape { width, mlp: width * 4, heads: HEADS, activation: Activation::QuickGelu, mask: Mask::None };
        let layer = |i| Layer::new(shape, wb, &format!("transformer_layers.{i}"));
        Ok(Self {
            words: wb.get("style_embedding", &[1, words, width])?,
            norm_in: LayerNorm::new(wb, "ln_pre", width)?,
            layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
            norm_out: LayerNorm::new(wb, "ln_post", width)?,
            projection: wb.get("proj", &[width, context])?,
            config: config.clone(),
        })
    }

    /// Words of the style of what an image encoder saw.
    ///
    /// # Shapes
    /// `tokens` `[batch, tokens, width]`; returns `[batch, words, context]`.
    /// # Errors
    /// `ModelError::Input` for tokens of another width, or when weights can't be had.
    pub fn forward(&self, tokens: Tensor<3>) -> Result<Tensor<3>, ModelError> {
        let ([batch, count, found], &StyleConfig { width, words, .. }) = (tokens.dims(), &self.config);
        if found != width || count == 0 {
            let expected = format!("[batch, tokens, {width}] (another image encoder)");
            let found = vec![batch, count, found];
            return Err(ModelError::Input { network: "style adapter", what: "tokens", expected, found });
        }
        let device = tokens.device();
        let own = self.words.acquire::<3>(&device)?.tensor().repeat_dim(0, batch);
        let x = self.norm_in.forward(Tensor::cat(vec![tokens, own], 1))?;
        let x = self.layers.iter().try_fold(x, |x, layer| layer.forward(x))?;
        let x = self.norm_out.forward(x.narrow(1, count, words))?;
        let projection = self.projection.acquire::<2>(&device)?.tensor().transpose();
        Ok(ops::linear(x, projection, None)?)
    }
}
