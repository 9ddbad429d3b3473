//! A LoRA out of a difference of weights. Knows names and shapes; which models differ is the caller's business.

use super::file::ModelFile;
use crate::lora::LowRankFactors;
use crate::{error::ModelError, weights::ModelWeights};

/// How a difference is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extraction {
    /// As a product of two matrices of at most this rank.
    LowRank(usize),
    /// Whole.
    Whole,
}

/// Values beyond this part of all are cut off, so that halves hold them well.
const QUANTILE: f64 = 0.99;

/// Adds the differences that `weights` holds to a file: keys below `prefix`, in f16. `biases`: those of biases and norms,
/// too. Weights that don't differ are left out.
///
/// # Errors
/// When weights can't be read.
pub fn extract(
    mut file: ModelFile,
    weights: &ModelWeights,
    prefix: &str,
    how: Extraction,
    biases: bool,
) -> Result<ModelFile, ModelError> {
    for (key, place) in weights.map().iter() {
        let (Some((stem, kind)), Ok(weight)) = (key.rsplit_once('.'), weights.weights().weight(key)) else { continue };
        let low_rank = match how {
            Extraction::LowRank(rank) if place.shape.len() >= 2 => Some(rank),
            _ => None,
        };
        let wanted = match kind {
            "weight" => low_rank.is_some() || biases || how == Extraction::Whole,
            "bias" => biases,
            _ => false,
        };
        if !wanted {
            continue;
        }
        let values = weight.read()?;
        if values.iter().all(|v| *v == 0.0) {
            continue;
        }
        let (stem, shape) = (format!("{prefix}{stem}"), place.shape.clone());
        file = match (kind, low_rank) {
            ("weight", Some(rank)) => product(file, &stem, &shape, &values, rank),
            ("bias", _) => file.with_halves(format!("{stem}.diff_b"), shape, values.to_vec()),
            _ => file.with_halves(format!("{stem}.diff"), shape, values.to_vec()),
        };
    }
    Ok(file)
}

/// Adds `up` and `down` of one weight.
fn product(file: ModelFile, stem: &str, shape: &[usize], values: &[f32], rank: usize) -> ModelFile {
    let (rows, columns) = (shape[0], values.len() / shape[0].max(1));
    let rank = rank.min(rows).min(shape[1]).max(1);
    let LowRankFactors { mut up, mut down } = LowRankFactors::of(values, [rows, columns], rank);
    cut(&mut up, &mut down);
    let (mut up_shape, mut down_shape) = (vec![rows, rank], vec![rank, shape[1]]);
    if let [_, _, height, width] = *shape {
        up_shape.extend([1, 1]);
        down_shape.extend([height, width]);
    }
    file.with_halves(format!("{stem}.lora_up.weight"), up_shape, up).with_halves(
        format!("{stem}.lora_down.weight"),
        down_shape,
        down,
    )
}

/// Cuts off what lies beyond the quantile of all values, on either side.
fn cut(up: &mut [f32], down: &mut [f32]) {
    let mut all: Vec<f32> = up.iter().chain(&*down).copied().collect();
    all.sort_unstable_by(f32::total_cmp);
    let place = QUANTILE * (all.len() - 1) as f64;
    let (low, share) = (place as usize, (place - place.floor()) as f32);
    let next = all[(low + 1).min(all.len() - 1)];
    let limit = (all[low] + (next - all[low]) * share).abs();
    up.iter_mut().chain(down).for_each(|v| *v = v.clamp(-limit, limit));
}
