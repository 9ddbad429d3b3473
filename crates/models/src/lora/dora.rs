//! DoRA: the changed weight keeps a direction of its own and gets its length from the file.

use super::{
    error::{AdapterError, shape_error},
    matrix::Matrix,
};

/// `W + strength · ((W + delta) · scale / norm - W)`.
///
/// The norm is that of the *original* rows when the scale has one entry per output, and that of the changed columns
/// otherwise (the reference's asymmetry, kept).
pub(super) fn decompose(
    weight: &mut Matrix,
    delta: &Matrix,
    scale: &Matrix,
    strength: f32,
) -> Result<(), AdapterError> {
    let mut changed = weight.clone();
    changed.add(1.0, delta).ok_or_else(|| shape_error("dora_scale", scale, weight))?;
    let outputs = weight.rows();
    if scale.rows() == outputs {
        by_row(weight, &mut changed, scale)?;
    } else {
        by_column(&mut changed, scale)?;
    }
    if strength == 1.0 {
        *weight = changed;
    } else {
        let pairs = weight.values.iter_mut().zip(&changed.values);
        pairs.for_each(|(w, c)| *w += strength * (c - *w));
    }
    Ok(())
}

fn norm(squares: f64) -> f32 {
    squares.sqrt() as f32 + f32::EPSILON
}

fn by_row(weight: &Matrix, changed: &mut Matrix, scale: &Matrix) -> Result<(), AdapterError> {
    let columns = weight.columns().max(1);
    if scale.values.len() != weight.rows() {
        return Err(shape_error("dora_scale", scale, weight));
    }
    let rows = weight.values.chunks(columns).zip(changed.values.chunks_mut(columns));
    for ((old, new), scale) in rows.zip(&scale.values) {
        let factor = scale / norm(old.iter().map(|v| f64::from(*v).powi(2)).sum());
        for v in new {
            *v *= factor;
        }
    }
    Ok(())
}

/// Columns are input channels: outputs and kernel positions of one count together.
fn by_column(changed: &mut Matrix, scale: &Matrix) -> Result<(), AdapterError> {
    let inputs = changed.shape.get(1).copied().unwrap_or(1).max(1);
    let kernel = changed.columns() / inputs;
    if scale.values.len() != inputs {
        return Err(shape_error("dora_scale", scale, changed));
    }
    let mut squares = vec![0.0f64; inputs];
    for (at, v) in changed.values.iter().enumerate() {
        squares[at / kernel % inputs] += f64::from(*v).powi(2);
    }
    let factors: Vec<f32> = scale.values.iter().zip(&squares).map(|(scale, squares)| scale / norm(*squares)).collect();
    changed.values.iter_mut().enumerate().for_each(|(at, v)| *v *= factors[at / kernel % inputs]);
    Ok(())
}
