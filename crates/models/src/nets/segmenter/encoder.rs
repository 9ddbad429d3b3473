//! The image encoder: an image of any size, stretched to a square, as a grid of features.

use burn::tensor::{Tensor, TensorData};
use kiln_memory::Weight;

use super::{
    block::{Block, EPS},
    config::SegmenterConfig,
};
use crate::{
    error::ModelError,
    image::{Method, Planes},
    nets::{
        activations::ActivationTap,
        layers::{Conv2d, LayerNorm},
    },
    ops::{self, Padding},
    weights::WeightBuilder,
};

/// Mean and deviation of red, green and blue.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// An image as the segmenter sees it; prompts are asked of it.
#[derive(Debug, Clone)]
pub struct ImageEmbedding {
    /// `[1, decoder, cells, cells]`.
    pub features: Tensor<4>,
    /// Height and width of the image.
    pub size: [usize; 2],
}

/// A plain vision transformer with a neck of two convolutions. Its table of positions is the one it was pretrained with and
/// is stretched to the larger grid.
#[derive(Debug)]
pub(super) struct Encoder {
    patches: Weight,
    patch_bias: Weight,
    positions: Weight,
    blocks: Vec<Block>,
    /// Convolution, norm, convolution, norm.
    neck: (Conv2d, LayerNorm, Conv2d, LayerNorm),
    config: SegmenterConfig,
}

impl Encoder {
    pub(super) fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let SegmenterConfig { width, patch, decoder, positions, grid, .. } = *config;
        let name = |end: &str| format!("image_encoder.{end}");
        let table = grid.map_or(vec![1, positions, width], |side| vec![1, side, side, width]);
        let norm = |end: &str| Ok::<_, ModelError>(LayerNorm::new(wb, &name(end), decoder)?.with_eps(EPS));
        let block = |i| Block::new(config, wb, &name(&format!("blocks.{i}")));
        Ok(Self {
            patches: wb.get(&name("patch_embed.proj.weight"), &[width, 3, patch, patch])?,
            patch_bias: wb.get(&name("patch_embed.proj.bias"), &[width])?,
            positions: wb.get(&name("pos_embed"), &table)?,
            blocks: (0..config.blocks).map(block).collect::<Result<_, _>>()?,
            neck: (
                Conv2d::without_bias(wb, &name("neck.0"), width, decoder, 1)?,
                norm("neck.1")?,
                Conv2d::without_bias(wb, &name("neck.2"), decoder, decoder, 3)?,
                norm("neck.3")?,
            ),
            config: config.clone(),
        })
    }

    /// # Shapes
    /// `image` `[1, 3, h, w]` in 0..1.
    pub(super) fn forward(&self, image: &Tensor<4>, tap: ActivationTap<'_>) -> Result<ImageEmbedding, ModelError> {
        let size = [image.dims()[2], image.dims()[3]];
        let square = self.prepared(image)?;
        tap.record("preprocessed", &square);
        let device = square.device();
        let (weight, bias) = (self.patches.acquire::<4>(&device)?, self.patch_bias.acquire::<1>(&device)?);
        let patches = ops::conv2d(square, weight.tensor(), Some(bias.tensor()), self.config.patch, Padding::default())?;
        tap.record("patch_embed", &patches);
        let mut x = tokens(patches) + self.positions(&device, tap)?;
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(x)?;
            tap.record(&format!("block.{i}"), &x);
        }
        let features = self.neck(map(x, self.config.cells()), tap)?;
        Ok(ImageEmbedding { features, size })
    }

    /// The image stretched to the square, around its mean.
    fn prepared(&self, image: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let side = self.config.image;
        let unreadable = |_| ModelError::NotFinite { network: "segmenter", what: "inputs" };
        let square = Planes::from_tensor(image).map_err(unreadable)?.resize(side, side, Method::Bilinear);
        let plane = side * side;
        let mut values = square.into_values();
        for (i, channel) in values.chunks_exact_mut(plane).enumerate() {
            for v in channel {
                *v = (*v - MEAN[i % 3]) / DEVIATION[i % 3];
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [1, 3, side, side]), &image.device()))
    }

    /// The table of positions on the image's grid, `[1, cells², width]`. The entry of the class token, which this network
    /// doesn't have, is left out.
    fn positions(&self, device: &burn::tensor::Device, tap: ActivationTap<'_>) -> Result<Tensor<3>, ModelError> {
        let SegmenterConfig { width, positions, grid, .. } = self.config;
        let table = self.positions.acquire_as([1, positions, width], device)?.tensor();
        let first = usize::from(grid.is_none());
        let (side, cells) = ((positions - first).isqrt(), self.config.cells());
        let table = map(table.narrow(1, first, positions - first), side);
        let table = if side == cells {
            table
        } else {
            let unreadable = |_| ModelError::NotFinite { network: "segmenter", what: "positions" };
            Planes::from_tensor(&table).map_err(unreadable)?.resize(cells, cells, Method::Bicubic).to_tensor(device)
        };
        tap.record("pos", &table.clone().permute([0, 2, 3, 1]));
        Ok(tokens(table))
    }

    fn neck(&self, x: Tensor<4>, tap: ActivationTap<'_>) -> Result<Tensor<4>, ModelError> {
        let (first, norm1, second, norm2) = &self.neck;
        let normed = |norm: &LayerNorm, x: Tensor<4>| {
            let side = x.dims()[2];
            Ok::<_, ModelError>(map(norm.forward(tokens(x))?, side))
        };
        let x = first.forward(x)?;
        tap.record("neck.0", &x);
        let x = normed(norm1, x)?;
        tap.record("neck.1", &x);
        let x = second.forward(x)?;
        tap.record("neck.2", &x);
        let x = normed(norm2, x)?;
        tap.record("neck.3", &x);
        Ok(x)
    }
}

/// `[batch, channels, h, w]` as `[batch, h · w, channels]`.
pub(super) fn tokens(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).swap_dims(1, 2)
}

/// `[batch, side², channels]` as `[batch, channels, side, side]`.
pub(super) fn map(x: Tensor<3>, side: usize) -> Tensor<4> {
    let [batch, _, channels] = x.dims();
    x.swap_dims(1, 2).reshape([batch, channels, side, side])
}
