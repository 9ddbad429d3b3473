//! The vector beside the time embedding of SDXL's networks: the pooled prompt and the image's sizes.

use burn::tensor::Tensor;

use crate::conditioning::{Condition, Sizes};
use crate::nets::unet::sinusoidal;
use crate::sampler::SamplingError;

/// Width of one number's embedding.
pub(super) const NUMBER: usize = 256;

/// Pooled prompt and embedded numbers of one condition, `[B, width]`.
///
/// `cells` is the latent's height and width. Six numbers make the base model's vector, five the refiner's; which one
/// it is follows from `width`.
///
/// # Errors
/// When there is no pooled prompt, or the widths leave no room for 5 or 6 numbers.
pub fn size_vector(
    condition: &Condition,
    width: usize,
    cells: (usize, usize),
    negative: bool,
) -> Result<Tensor<2>, SamplingError> {
    let which = if negative { "negative" } else { "positive" };
    let pooled = condition.pooled.as_ref().ok_or(SamplingError::Missing {
        which,
        what: "pooled output",
        hint: "encode the prompt with this model's own text encoders",
    })?;
    let [batch, own] = pooled.dims();
    let numbers = match width.checked_sub(own).map(|rest| (rest / NUMBER, rest % NUMBER)) {
        Some((6, 0)) => base(&condition.sizes, cells).to_vec(),
        Some((5, 0)) => refiner(&condition.sizes, cells, negative).to_vec(),
        _ => {
            return Err(SamplingError::Shape {
                what: "pooled output",
                expected: format!("[B, {} or {}]", width.saturating_sub(6 * NUMBER), width.saturating_sub(5 * NUMBER)),
                found: vec![batch, own],
            });
        }
    };
    let embedded = sinusoidal(&numbers, NUMBER, &pooled.device()).reshape([1, numbers.len() * NUMBER]);
    Ok(Tensor::cat(vec![pooled.clone(), embedded.repeat_dim(0, batch)], 1))
}

fn base(sizes: &Sizes, cells: (usize, usize)) -> [f32; 6] {
    let (height, width) = image(sizes, cells);
    [
        height,
        width,
        sizes.crop_h.unwrap_or(0.0),
        sizes.crop_w.unwrap_or(0.0),
        sizes.target_height.unwrap_or(height),
        sizes.target_width.unwrap_or(width),
    ]
}

fn refiner(sizes: &Sizes, cells: (usize, usize), negative: bool) -> [f32; 5] {
    let (height, width) = image(sizes, cells);
    let score = sizes.aesthetic_score.unwrap_or(if negative { 2.5 } else { 6.0 });
    [height, width, sizes.crop_h.unwrap_or(0.0), sizes.crop_w.unwrap_or(0.0), score]
}

fn image(sizes: &Sizes, (h, w): (usize, usize)) -> (f32, f32) {
    (sizes.height.unwrap_or((h * 8) as f32), sizes.width.unwrap_or((w * 8) as f32))
}
