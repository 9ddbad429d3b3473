//! What a segmenter is asked: points on a thing, and corners of a box around it.

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::Weight;

use super::{config::SegmenterConfig, position::Frequencies};
use crate::{error::ModelError, weights::WeightBuilder};

/// Tokens of every prompt: fewer are filled up, more are cut.
pub(super) const SLOTS: usize = 6;

/// What a point of a prompt means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A place that is not filled.
    Unused,
    /// A point beside the thing. This family of networks has learned nothing for it and gets the bare place.
    Outside,
    /// A point on the thing.
    Inside,
    /// A box's left and top.
    TopLeft,
    /// A box's right and bottom.
    BottomRight,
}

/// Points that together ask for one thing; coordinates in the image's pixels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prompt(pub Vec<([f32; 2], Label)>);

impl Prompt {
    /// A box: left, top, right, bottom.
    pub fn corners([left, top, right, bottom]: [f32; 4]) -> Self {
        Self(vec![([left, top], Label::TopLeft), ([right, bottom], Label::BottomRight)])
    }

    /// Points on the thing.
    pub fn inside(points: impl IntoIterator<Item = [f32; 2]>) -> Self {
        Self(points.into_iter().map(|point| (point, Label::Inside)).collect())
    }
}

/// Prompts to tokens.
#[derive(Debug)]
pub(super) struct PromptEncoder {
    frequencies: Weight,
    unused: Weight,
    inside: Weight,
    top_left: Weight,
    bottom_right: Weight,
    config: SegmenterConfig,
}

impl PromptEncoder {
    pub(super) fn new(config: &SegmenterConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let width = config.decoder;
        let row = |name: &str| wb.get(&format!("prompt_encoder.{name}.weight"), &[1, width]);
        let matrix = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";
        Ok(Self {
            frequencies: wb.get(matrix, &[2, width / 2])?,
            unused: row("invalid_points")?,
            inside: row("point_embeddings")?,
            top_left: row("bbox_top_left_embeddings")?,
            bottom_right: row("bbox_bottom_right_embeddings")?,
            config: config.clone(),
        })
    }

    /// The tokens of prompts for an image of that height and width, `[prompts, 6, decoder]`.
    pub(super) fn tokens(
        &self,
        prompts: &[Prompt],
        size: [usize; 2],
        device: &Device,
    ) -> Result<Tensor<3>, ModelError> {
        let frequencies = self.frequencies(device)?;
        let row = |weight: &Weight| values(weight.acquire::<2>(device)?.tensor());
        let (unused, inside) = (row(&self.unused)?, row(&self.inside)?);
        let (top_left, bottom_right) = (row(&self.top_left)?, row(&self.bottom_right)?);
        let mut tokens = Vec::with_capacity(prompts.len() * SLOTS * frequencies.channels());
        for prompt in prompts {
            for slot in 0..SLOTS {
                let (point, label) = prompt.0.get(slot).copied().unwrap_or(([-1.0, -1.0], Label::Unused));
                let mut code = frequencies.code(self.place(point, size));
                let learned = match label {
                    Label::Unused => Some(&unused),
                    Label::Inside => Some(&inside),
                    Label::TopLeft => Some(&top_left),
                    Label::BottomRight => Some(&bottom_right),
                    Label::Outside => None,
                };
                for (v, learned) in code.iter_mut().zip(learned.into_iter().flatten()) {
                    *v += learned;
                }
                tokens.extend(code);
            }
        }
        let shape = [prompts.len(), SLOTS, self.config.decoder];
        Ok(Tensor::from_data(TensorData::new(tokens, shape), device))
    }

    /// The codes of the image's grid, `[1, cells², decoder]`.
    pub(super) fn grid(&self, device: &Device) -> Result<Tensor<3>, ModelError> {
        let cells = self.config.cells();
        let codes = self.frequencies(device)?.grid(cells);
        Ok(Tensor::from_data(TensorData::new(codes, [1, cells * cells, self.config.decoder]), device))
    }

    fn frequencies(&self, device: &Device) -> Result<Frequencies, ModelError> {
        Ok(Frequencies::new(values(self.frequencies.acquire::<2>(device)?.tensor())?))
    }

    /// A point of the image from 0 to 1 across the square it is stretched to; points before the image mean none.
    fn place(&self, [x, y]: [f32; 2], [height, width]: [usize; 2]) -> [f32; 2] {
        let side = self.config.image as f32;
        let scaled = |v: f32, len: usize| if v >= 0.0 { v * side / len as f32 } else { -1.0 };
        [(scaled(x, width) + 0.5) / side, (scaled(y, height) + 0.5) / side]
    }
}

/// Numbers on the host.
fn values(x: Tensor<2>) -> Result<Vec<f32>, ModelError> {
    x.try_to_vec_as::<f32>().map_err(|_| ModelError::NotFinite { network: "segmenter", what: "prompt's weights" })
}
