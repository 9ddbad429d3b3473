//! Numbers as vectors of cosines and sines: time steps, and the sizes that SDXL takes.

use burn::tensor::{Device, Tensor, TensorData};

use super::config::UNetConfig;
use crate::{
    error::ModelError,
    nets::{activations::ActivationTap, layers::Linear},
    ops,
    weights::WeightBuilder,
};

/// The two small networks that turn time steps, and SDXL's vector, into what every residual block sees.
#[derive(Debug)]
pub(crate) struct Embedding {
    channels: usize,
    time: [Linear; 2],
    label: Option<[Linear; 2]>,
}

impl Embedding {
    pub(crate) fn new(config: &UNetConfig, wb: &WeightBuilder<'_>) -> Result<Self, ModelError> {
        let embed = config.embed_dim();
        let pair = |name: &str, inputs| {
            Ok::<_, ModelError>([
                Linear::new(wb, &format!("{name}.0"), inputs, embed)?,
                Linear::new(wb, &format!("{name}.2"), embed, embed)?,
            ])
        };
        Ok(Self {
            channels: config.model_channels,
            time: pair("time_embed", config.model_channels)?,
            label: config.adm_channels.map(|adm| pair("label_emb.0", adm)).transpose()?,
        })
    }

    /// The embedding after the SiLU that every residual block starts with, `[batch, embed]`, in the type of `like`.
    /// `more`, `[1, embed]`, is added to the time's.
    pub(crate) fn forward(
        &self,
        timesteps: &[f32],
        y: Option<&Tensor<2>>,
        more: Option<Tensor<2>>,
        like: &Tensor<4>,
        tap: ActivationTap<'_>,
    ) -> Result<Tensor<2>, ModelError> {
        let steps = sinusoidal(timesteps, self.channels, &like.device()).cast(like.dtype());
        let mut embed = mlp(&self.time, steps, "time_embed", tap)?;
        tap.record("time_embed", &embed);
        if let Some(more) = more {
            embed = embed + more;
        }
        if let (Some(label), Some(y)) = (&self.label, y) {
            let label = mlp(label, y.clone().cast(like.dtype()), "label_emb.0", tap)?;
            tap.record("label_emb.0", &label);
            tap.record("label_emb", &label);
            embed = embed + label;
        }
        Ok(ops::silu(embed)?)
    }
}

fn mlp(layers: &[Linear; 2], x: Tensor<2>, path: &str, tap: ActivationTap<'_>) -> Result<Tensor<2>, ModelError> {
    let h = layers[0].forward2(x)?;
    tap.record_part(path, "0", &h);
    let h = ops::silu(h)?;
    tap.record_part(path, "1", &h);
    let h = layers[1].forward2(h)?;
    tap.record_part(path, "2", &h);
    Ok(h)
}

/// `[cos(v f_0), cos(v f_1), ..., sin(v f_0), ...]` with `f_k = 10000^(-k / half)`, one zero appended when `dim` is odd.
///
/// In f32 as the reference does: an angle near 1000 carries an error of 6e-5, and the cosine shows it.
///
/// # Shapes
/// Returns `[values, dim]`.
pub(crate) fn sinusoidal(values: &[f32], dim: usize, device: &Device) -> Tensor<2> {
    let half = dim / 2;
    let frequencies: Vec<f32> = (0..half).map(|k| frequency(k, half)).collect();
    let mut data = Vec::with_capacity(values.len() * dim);
    for value in values {
        data.extend(frequencies.iter().map(|f| f64::from(value * f).cos() as f32));
        data.extend(frequencies.iter().map(|f| f64::from(value * f).sin() as f32));
        data.extend((0..dim % 2).map(|_| 0.0f32));
    }
    Tensor::from_data(TensorData::new(data, [values.len(), dim]), device)
}

fn frequency(k: usize, half: usize) -> f32 {
    let exponent = (-(10000f64.ln()) as f32) * k as f32 / half as f32;
    f64::from(exponent).exp() as f32
}
