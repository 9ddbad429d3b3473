//! What modulates every block: the noise level, the guidance and the pooled text as one vector.

use burn::tensor::{Device, Tensor};

use super::config::FluxConfig;
use crate::{
    error::ModelError,
    nets::{
        layers::{Embedder, Linear},
        unet::sinusoidal,
    },
    ops,
    weights::WeightBuilder,
};

/// Waves that a number becomes.
const WAVES: usize = 256;
/// Noise levels and guidance are multiplied by this.
const FACTOR: f32 = 1000.0;

/// `out_layer(silu(in_layer(x)))`.
fn embedder(config: &FluxConfig, wb: &WeightBuilder<'_>, name: &str, inputs: usize) -> Result<Embedder, ModelError> {
    let (hidden, bias) = (config.hidden, config.bias());
    Ok(Embedder::of(
        Linear::with_bias(wb, &format!("{name}.in_layer"), [inputs, hidden], bias)?,
        Linear::with_bias(wb, &format!("{name}.out_layer"), [hidden, hidden], bias)?,
    ))
}

/// The waves of noise levels or of guidance.
fn waves(numbers: &[f32], device: &Device) -> Tensor<2> {
    let scaled: Vec<f32> = numbers.iter().map(|number| number * FACTOR).collect();
    sinusoidal(&scaled, WAVES, device)
}

/// The networks of level, guidance and pooled text.
#[derive(Debug)]
pub(super) struct Embedding {
    time: Embedder,
    guidance: Option<Embedder>,
    vector: Option<(usize, Embedder)>,
}

impl Embedding {
    pub(super) fn new(config: &FluxConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let embedder = |name, inputs| embedder(config, wb, name, inputs);
        Ok(Self {
            time: embedder("time_in", WAVES)?,
            guidance: config.guidance.then(|| embedder("guidance_in", WAVES)).transpose()?,
            vector: config
                .vector
                .map(|width| Ok::<_, ModelError>((width, embedder("vector_in", width)?)))
                .transpose()?,
        })
    }

    /// `silu` of the sum: every modulation begins with it. Without guidance its term is left out; a missing pooled
    /// vector is zeros, and of a wider one the first columns count.
    ///
    /// # Shapes
    /// Returns `[batch, hidden]`.
    pub(super) fn forward(
        &self,
        times: &[f32],
        guidance: Option<&[f32]>,
        vector: Option<Tensor<2>>,
        device: &Device,
    ) -> Result<Tensor<2>, ModelError> {
        let mut sum = self.time.forward(waves(times, device))?;
        if let (Some(embedder), Some(guidance)) = (&self.guidance, guidance) {
            sum = sum + embedder.forward(waves(guidance, device))?;
        }
        if let Some((width, embedder)) = &self.vector {
            let vector = match vector {
                Some(vector) => first_columns(vector, times.len(), *width)?,
                None => Tensor::zeros([times.len(), *width], device),
            };
            sum = sum + embedder.forward(vector)?;
        }
        Ok(ops::silu(sum)?)
    }
}

fn first_columns(vector: Tensor<2>, batch: usize, width: usize) -> Result<Tensor<2>, ModelError> {
    let [rows, columns] = vector.dims();
    if rows != batch || columns < width {
        let expected = format!("[{batch}, {width}], the pooled text of CLIP-L");
        return Err(ModelError::Input { network: "Flux", what: "vector", expected, found: vec![rows, columns] });
    }
    Ok(vector.narrow(1, 0, width))
}
