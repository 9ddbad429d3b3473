//! Numbers as vectors of cosines and sines: time steps, and the sizes that SDXL takes.

use burn::tensor::{Device, Tensor, TensorData};

use kiln_memory::Weight;

use super::{config::UNetConfig, variant::Variant};
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
    label: Option<Label>,
}

/// What becomes of the vector beside the time step.
#[derive(Debug)]
enum Label {
    Network([Linear; 2]),
    /// It is one number: the row of a table.
    Table {
        table: Weight,
        rows: usize,
    },
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
            label: match (&config.variant, config.adm_channels) {
                (Variant::Upscaler { levels, .. }, _) => {
                    Some(Label::Table { table: wb.get("label_emb.weight", &[*levels, embed])?, rows: *levels })
                }
                (_, Some(adm)) => Some(Label::Network(pair("label_emb.0", adm)?)),
                (_, None) => None,
            },
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
            let label = label.forward(y.clone().cast(like.dtype()), tap)?;
            tap.record("label_emb", &label);
            embed = embed + label;
        }
        Ok(ops::silu(embed)?)
    }
}

impl Label {
    fn forward(&self, y: Tensor<2>, tap: ActivationTap<'_>) -> Result<Tensor<2>, ModelError> {
        match self {
            Self::Network(layers) => {
                let label = mlp(layers, y, "label_emb.0", tap)?;
                tap.record("label_emb.0", &label);
                Ok(label)
            }
            Self::Table { table, rows } => rows_of(table, *rows, &y),
        }
    }
}

/// The row of a table for each number of `y` `[batch, 1]`.
fn rows_of(table: &Weight, rows: usize, y: &Tensor<2>) -> Result<Tensor<2>, ModelError> {
    let wrong = |found: Vec<usize>| ModelError::Input {
        network: "UNet",
        what: "y",
        expected: format!("[batch, 1] of whole numbers below {rows}"),
        found,
    };
    let numbers = y.try_to_vec_as::<f32>().map_err(|_| wrong(y.dims().to_vec()))?;
    let whole = |number: &f32| (*number >= 0.0 && (*number as usize) < rows).then_some(*number as usize);
    let indices = numbers.iter().map(whole).collect::<Option<Vec<_>>>();
    let indices = indices.ok_or_else(|| wrong(numbers.iter().map(|number| *number as usize).collect()))?;
    let table = table.acquire::<2>(&y.device())?;
    Ok(Tensor::cat(indices.into_iter().map(|row| table.tensor().narrow(0, row, 1)).collect(), 0))
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
pub fn sinusoidal(values: &[f32], dim: usize, device: &Device) -> Tensor<2> {
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

/// Frequency `k` of `half`, as torch has it. Its exponential isn't correctly rounded: of 128 frequencies one is one unit in
/// the last place higher, which an image's size makes visible in the fifth decimal.
pub(crate) fn frequency(k: usize, half: usize) -> f32 {
    const ROUNDED_UP: (usize, usize) = (12, 128);
    let exponent = (-(10000f64.ln()) as f32) * k as f32 / half as f32;
    let exact = f64::from(exponent).exp() as f32;
    if (k, half) == ROUNDED_UP { exact.next_up() } else { exact }
}
