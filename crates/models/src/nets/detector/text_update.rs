//! Version 1's look of the texts at the image: nine tokens of each map, attended to by every text.

use burn::tensor::Tensor;

use crate::{
    error::ModelError,
    nets::layers::{Conv2d, LayerNorm, Linear},
    ops::{self, Mask},
    weights::WeightBuilder,
};

/// Attention heads; a file doesn't say.
pub(super) const HEADS: usize = 8;
/// Tokens along each side of a map.
const SIDE: usize = 3;

/// Source: ultralytics `ImagePoolingAttn`.
#[derive(Debug)]
pub(super) struct TextUpdate {
    projections: Vec<Conv2d>,
    query: (LayerNorm, Linear),
    key: (LayerNorm, Linear),
    value: (LayerNorm, Linear),
    out: Linear,
}

impl TextUpdate {
    pub(super) fn new(
        wb: &WeightBuilder<'_>,
        name: &str,
        maps: [usize; 3],
        text: usize,
        tokens: usize,
    ) -> Result<Self, ModelError> {
        let projection = |(i, channels)| Conv2d::new(wb, &format!("{name}.projections.{i}"), channels, tokens, 1);
        let pair = |what: &str, inputs| {
            let norm = LayerNorm::new(wb, &format!("{name}.{what}.0"), inputs)?;
            Ok::<_, ModelError>((norm, Linear::new(wb, &format!("{name}.{what}.1"), inputs, tokens)?))
        };
        Ok(Self {
            projections: maps.into_iter().enumerate().map(projection).collect::<Result<_, _>>()?,
            query: pair("query", text)?,
            key: pair("key", tokens)?,
            value: pair("value", tokens)?,
            out: Linear::new(wb, &format!("{name}.proj"), tokens, text)?,
        })
    }

    /// # Shapes
    /// `text` `[classes, text]`, kept; `maps` `[1, channels, h, w]` each.
    pub(super) fn forward(&self, text: &Tensor<2>, maps: [Tensor<4>; 3]) -> Result<Tensor<2>, ModelError> {
        let tokens = self.projections.iter().zip(maps).map(|(projection, map)| Ok(pooled(projection.forward(map)?)));
        let tokens = Tensor::cat(tokens.collect::<Result<Vec<_>, ModelError>>()?, 1);
        let [classes, width] = text.dims();
        let texts = text.clone().reshape([1, classes, width]);
        let project = |(norm, linear): &(LayerNorm, Linear), x: Tensor<3>| linear.forward(norm.forward(x)?);
        let (q, k, v) =
            (project(&self.query, texts.clone())?, project(&self.key, tokens.clone())?, project(&self.value, tokens)?);
        let seen = self.out.forward(ops::attention(q, k, v, HEADS, Mask::None)?)?;
        Ok((texts + seen).reshape([classes, width]))
    }
}

/// The largest values of three by three fields, row after row: `[1, 9, channels]`. Fields overlap where three does not
/// divide a side, as in torch's adaptive pooling.
fn pooled(map: Tensor<4>) -> Tensor<3> {
    let [_, channels, height, width] = map.dims();
    let span = |i: usize, len: usize| (i * len / SIDE, ((i + 1) * len).div_ceil(SIDE));
    let field = |at: usize| {
        let ((top, bottom), (left, right)) = (span(at / SIDE, height), span(at % SIDE, width));
        let field = map.clone().slice([0..1, 0..channels, top..bottom, left..right]);
        field.reshape([1, channels, (bottom - top) * (right - left)]).max_dim(2).swap_dims(1, 2)
    };
    Tensor::cat((0..SIDE * SIDE).map(field).collect(), 1)
}
