//! One change of one weight, whatever its kind, and how it is applied.

use super::error::{AdapterError, shape_error};
use super::{
    dora::decompose,
    low_rank::{Glora, LoHa, LoKr, LowRank},
    matrix::Matrix,
    orthogonal::Rotation,
};

/// A change of one weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Adapter {
    /// A delta from factors, with its scale and maybe DoRA's lengths.
    Delta {
        /// The factors.
        factors: Box<Factors>,
        /// `alpha` of the file; without it the scale is 1.
        alpha: Option<f32>,
        /// `dora_scale` of the file.
        dora: Option<Matrix>,
        /// The weight is padded with zeros to this shape first.
        reshape: Option<Vec<usize>>,
    },
    /// A rotation of rows; `limit` is the file's `alpha`.
    Rotation {
        /// The blocks.
        rotation: Rotation,
        /// Bound of the generators' norm, none when 0.
        limit: f32,
    },
    /// Added as it is.
    Diff(Matrix),
    /// Put in the weight's place.
    Set(Matrix),
}

/// The kinds of factors that make up a delta.
#[derive(Debug, Clone, PartialEq)]
pub enum Factors {
    /// LoRA, LoCon.
    LowRank(LowRank),
    /// LoHa.
    Hadamard(LoHa),
    /// LoKr.
    Kronecker(LoKr),
    /// GLoRA.
    Glora(Glora),
}

impl Factors {
    fn delta(&self, weight: &Matrix) -> Result<Matrix, AdapterError> {
        match self {
            Self::LowRank(factors) => factors.delta(weight),
            Self::Hadamard(factors) => factors.delta(weight),
            Self::Kronecker(factors) => factors.delta(weight),
            Self::Glora(factors) => factors.delta(weight),
        }
    }

    /// The rank of factors for a weight of that shape.
    fn rank(&self, weight: &[usize]) -> Option<usize> {
        match self {
            Self::LowRank(factors) => Some(factors.rank()),
            Self::Hadamard(factors) => Some(factors.rank()),
            Self::Kronecker(factors) => factors.rank(),
            Self::Glora(factors) => Some(factors.rank(weight)),
        }
    }
}

impl Adapter {
    /// Changes a weight's values where they lie, for the kind that nearly every file is of: plain low-rank factors.
    /// Returns whether it did; then nothing is left for [`apply`](Self::apply) to do.
    pub fn apply_in_place(&self, values: &mut [f32], strength: f32) -> bool {
        let Self::Delta { factors, alpha, dora: None, reshape: None } = self else { return false };
        let Factors::LowRank(low_rank) = &**factors else { return false };
        low_rank.add_to(values, strength * scale(*alpha, factors, &[])).is_some()
    }

    /// Changes `weight` by `strength`.
    ///
    /// # Errors
    /// When a shape doesn't fit; the weight is then unchanged.
    pub fn apply(&self, weight: &mut Matrix, strength: f32) -> Result<(), AdapterError> {
        match self {
            Self::Diff(delta) => {
                if delta.shape != weight.shape {
                    return Err(shape_error("diff", delta, weight));
                }
                weight.add(strength, delta).ok_or_else(|| shape_error("diff", delta, weight))
            }
            Self::Set(value) => {
                if value.shape != weight.shape {
                    return Err(shape_error("set_weight", value, weight));
                }
                *weight = value.clone();
                Ok(())
            }
            Self::Rotation { rotation, limit } => {
                let delta = rotation.delta(weight, *limit, strength)?;
                weight.add(strength, &delta).ok_or_else(|| shape_error("oft_blocks", &rotation.blocks, weight))
            }
            Self::Delta { factors, alpha, dora, reshape: None } => {
                add_delta(weight, factors, *alpha, dora.as_ref(), strength)
            }
            Self::Delta { factors, alpha, dora, reshape: Some(shape) } => {
                let mut grown = weight.padded_to(shape).ok_or_else(|| AdapterError::Shape {
                    tensor: "reshape_weight",
                    found: shape.clone(),
                    weight: weight.shape.clone(),
                })?;
                add_delta(&mut grown, factors, *alpha, dora.as_ref(), strength)?;
                *weight = grown;
                Ok(())
            }
        }
    }
}

fn add_delta(
    weight: &mut Matrix,
    factors: &Factors,
    alpha: Option<f32>,
    dora: Option<&Matrix>,
    strength: f32,
) -> Result<(), AdapterError> {
    let mut delta = factors.delta(weight)?;
    let scale = scale(alpha, factors, &weight.shape);
    match dora {
        None => weight.add(strength * scale, &delta).ok_or(AdapterError::Factors { kind: "delta" }),
        Some(lengths) => {
            delta.values.iter_mut().for_each(|v| *v *= scale);
            decompose(weight, &delta, lengths, strength)
        }
    }
}

/// The file's `alpha` over the rank; 1 without.
fn scale(alpha: Option<f32>, factors: &Factors, weight: &[usize]) -> f32 {
    match (alpha, factors.rank(weight)) {
        (Some(alpha), Some(rank)) if rank > 0 => (f64::from(alpha) / rank as f64) as f32,
        _ => 1.0,
    }
}
