//! Places of boxes as waves, and the layers that put a text to its place.
//!
//! Source: GLIGEN `text_grounding_net.py`, `PositionNet`.

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::Weight;

use super::config::GligenConfig;
use crate::{error::ModelError, nets::layers::Linear, ops, weights::WeightBuilder};

/// Frequencies of the waves.
const WAVES: usize = 8;
/// Sine and cosine of each of a box's four sides.
const SPREAD: usize = WAVES * 2 * 4;

/// The layers over weight handles.
#[derive(Debug)]
pub(super) struct PositionNet {
    linears: [Linear; 3],
    /// What stands in for the text and for the place where there is no box.
    null_text: Weight,
    null_place: Weight,
}

impl PositionNet {
    pub(super) fn new(wb: &WeightBuilder<'_>, config: &GligenConfig) -> Result<Self, ModelError> {
        let GligenConfig { text, hidden, token, .. } = *config;
        let linear = |n: usize, inputs, outputs| Linear::new(wb, &format!("position_net.linears.{n}"), inputs, outputs);
        Ok(Self {
            linears: [linear(0, text + SPREAD, hidden)?, linear(2, hidden, hidden)?, linear(4, hidden, token)?],
            null_text: wb.get("position_net.null_positive_feature", &[text])?,
            null_place: wb.get("position_net.null_position_feature", &[SPREAD])?,
        })
    }

    /// Placed texts; `slots` in all, those beyond the boxes empty.
    ///
    /// # Shapes
    /// `texts` one `[1, text]` for each of `boxes` (left, top, right, bottom in parts of the image); returns
    /// `[1, slots, token]`.
    pub(super) fn forward(
        &self,
        boxes: &[[f32; 4]],
        texts: Vec<Tensor<2>>,
        slots: usize,
        device: &Device,
    ) -> Result<Tensor<3>, ModelError> {
        let null = |weight: &Weight| Ok::<_, ModelError>(weight.acquire::<1>(device)?.tensor().unsqueeze::<2>());
        let empty = slots.saturating_sub(boxes.len());
        let (mut rows, mut places) = (texts, waves(boxes, device));
        if empty > 0 {
            rows.push(null(&self.null_text)?.repeat_dim(0, empty));
            places.push(null(&self.null_place)?.repeat_dim(0, empty));
        }
        let x = Tensor::cat(vec![Tensor::cat(rows, 0), Tensor::cat(places, 0)], 1);
        let [first, second, third] = &self.linears;
        let x = ops::silu(first.forward2(x)?)?;
        let x = ops::silu(second.forward2(x)?)?;
        Ok(third.forward2(x)?.unsqueeze::<3>())
    }
}

/// For each frequency the sines of all four sides, then their cosines: `[boxes, SPREAD]`; nothing without boxes.
fn waves(boxes: &[[f32; 4]], device: &Device) -> Vec<Tensor<2>> {
    if boxes.is_empty() {
        return Vec::new();
    }
    let mut values = Vec::with_capacity(boxes.len() * SPREAD);
    for sides in boxes {
        for wave in 0..WAVES {
            let frequency = 100f32.powf(wave as f32 / WAVES as f32);
            values.extend(sides.iter().map(|side| f64::from(frequency * side).sin() as f32));
            values.extend(sides.iter().map(|side| f64::from(frequency * side).cos() as f32));
        }
    }
    vec![Tensor::from_data(TensorData::new(values, [boxes.len(), SPREAD]), device)]
}
