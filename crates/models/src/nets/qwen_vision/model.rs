//! The vision tower: patches in, a row per cell out.

use burn::tensor::{Int, Tensor, TensorData};
use kiln_memory::{TensorShapes, Weight};

use super::{
    block::{Block, EPS},
    config::{QwenVisionConfig, unrecognised},
    grid::PATCH,
    prepare::{FEATURES, Patches},
};
use crate::{
    error::ModelError,
    nets::layers::{Linear, RmsNorm},
    ops,
    weights::{ModelWeights, WeightBuilder},
};

/// Every so many blocks, one sees the whole image.
const WHOLE: usize = 8;

/// Qwen2.5-VL's vision tower over weight handles.
///
/// Source: transformers, `Qwen2_5_VisionTransformerPretrainedModel`.
#[derive(Debug)]
pub struct QwenVision {
    config: QwenVisionConfig,
    patches: Weight,
    blocks: Vec<Block>,
    norm: RmsNorm,
    merge_in: Linear,
    merge_out: Linear,
}

impl QwenVisionConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape; `ModelError::Unrecognised` for heads that
    /// don't divide the width.
    pub fn init(&self, weights: &ModelWeights) -> Result<QwenVision, ModelError> {
        if self.heads == 0 || !self.width.is_multiple_of(4 * self.heads) {
            return Err(unrecognised(format!("a width of {} doesn't split into {} heads", self.width, self.heads)));
        }
        WeightBuilder::build("Qwen2.5-VL's vision tower", weights, |wb| QwenVision::new(self, wb))
    }

    /// Name and shape of every tensor of this network, in Hugging Face's names.
    ///
    /// # Errors
    /// Never for a configuration that was read off a file.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| QwenVision::new(self, wb))
    }
}

impl QwenVision {
    fn new(config: &QwenVisionConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let QwenVisionConfig { width, layers, merged, output, .. } = *config;
        let linear = |end: &str, inputs, outputs| Linear::new(wb, &format!("visual.merger.{end}"), inputs, outputs);
        Ok(Self {
            patches: wb.get("visual.patch_embed.proj.weight", &[width, 3, 2, PATCH, PATCH])?,
            blocks: (0..layers).map(|index| Block::new(config, wb, index)).collect::<Result<_, _>>()?,
            norm: RmsNorm::new(wb, "visual.merger.ln_q.weight", width, EPS)?,
            merge_in: linear("mlp.0", 4 * width, merged)?,
            merge_out: linear("mlp.2", merged, output)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &QwenVisionConfig {
        &self.config
    }

    /// A row per cell, row by row of the image.
    ///
    /// # Shapes
    /// Returns `[cells, output]`.
    /// # Errors
    /// When weights can't be had.
    pub fn forward(&self, image: &Patches) -> Result<Tensor<2>, ModelError> {
        let device = image.features.device();
        let (grid, width) = (image.grid, self.config.width);
        let (cells, order) = (grid.cells(), grid.window_order());
        let x = {
            let weight = self.patches.acquire::<5>(&device)?;
            ops::linear2(image.features.clone(), weight.tensor().reshape([width, FEATURES]), None)?
        };
        let rows = |order: &[usize]| {
            let order: Vec<i64> = order.iter().map(|cell| *cell as i64).collect();
            Tensor::<1, Int>::from_data(TensorData::new(order, [cells]), &device)
        };
        let x = x.reshape([cells, 4 * width]).select(0, rows(&order));
        let mut x = x.reshape([1, 4 * cells, width]);
        let rotary = grid.rotary(&order, width / self.config.heads);
        let (windows, whole) = (grid.window_lengths(), [4 * cells]);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &rotary, if index % WHOLE == WHOLE - 1 { &whole } else { &windows })?;
        }
        let merged = self.norm.forward(x)?.reshape([cells, 4 * width]);
        let merged = self.merge_out.forward2(ops::gelu(self.merge_in.forward2(merged)?)?)?;
        Ok(merged.select(0, rows(&inverse(&order))))
    }
}

/// Where each cell stands in an order.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    for (place, cell) in order.iter().enumerate() {
        places[*cell] = place;
    }
    places
}
