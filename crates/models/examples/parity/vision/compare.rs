//! Comparisons as this kind of folder defines them: against the largest value or one, whichever is more.

use crate::case::{CaseResult, Tensors, Trouble};

/// Scores that differ by less may stand in either order, and so may scores that lie within what a case allows of rounding: the
/// folder's own re-implementation turns a pair that lies 5e-5 apart, in a case of 2e-4.
const TIED: f64 = 1e-5;

/// Compares values; the error is relative to the larger of one and the reference's largest value.
pub fn close(name: impl Into<String>, found: &[f32], expected: &[f32], tolerance: f64) -> CaseResult {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    close64(name, &wide(found), &wide(expected), tolerance)
}

/// [`close`] of doubles.
pub fn close64(name: impl Into<String>, found: &[f64], expected: &[f64], tolerance: f64) -> CaseResult {
    let name = name.into();
    if found.len() != expected.len() {
        return CaseResult::broken(name, format!("{} values instead of {}", found.len(), expected.len()));
    }
    let pairs = || found.iter().zip(expected);
    let worst =
        pairs().map(|(a, b)| (a - b).abs()).fold(0.0, |worst: f64, d| if d.is_nan() { d } else { worst.max(d) });
    let worst = if worst.is_nan() { f64::INFINITY } else { worst };
    let largest = expected.iter().fold(1.0, |largest: f64, v| largest.max(v.abs()));
    let sum: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
    let energy: f64 = expected.iter().map(|v| v * v).sum();
    CaseResult::verdict(name, worst / largest, (sum / energy.max(1.0)).sqrt(), tolerance)
}

/// Compares whatever the file holds of an activation: all of it (`act.`), every so manieth (`..._everyN`), five numbers
/// (`act5.`).
pub fn activation(
    tensors: &Tensors,
    path: &str,
    name: &str,
    found: &[f32],
    tolerance: f64,
) -> Result<Vec<CaseResult>, Trouble> {
    let mut results = Vec::new();
    for (kind, values) in [("act", None), ("act5", Some(five(found)))] {
        let stored = format!("{path}{kind}.{name}");
        if tensors.has(&stored) {
            let found = values.as_deref().unwrap_or(found);
            results.push(close(&stored, found, &tensors.floats(&stored)?, tolerance));
        }
    }
    Ok(results)
}

/// Mean, standard deviation, largest absolute value, first and last.
pub fn five(values: &[f32]) -> Vec<f32> {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let largest = values.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
    let end = |v: Option<&f32>| v.copied().unwrap_or(f32::NAN);
    vec![mean as f32, variance.sqrt() as f32, largest, end(values.first()), end(values.last())]
}

/// Compares rows of `[x1, y1, x2, y2, score, class]`, the best first; rows of nearly equal scores may be swapped.
pub fn rows(name: impl Into<String>, found: &[[f64; 6]], expected: &[f64], tolerance: f64) -> CaseResult {
    let mut found = found.to_vec();
    let expected: Vec<&[f64]> = expected.chunks_exact(6).collect();
    let distance = |row: &[f64; 6], other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).abs()).sum::<f64>();
    for i in 0..found.len().min(expected.len()) {
        let limit = TIED.max(tolerance);
        let tied = (i..found.len()).take_while(|j| (found[*j][4] - found[i][4]).abs() < limit);
        let near = tied.min_by(|a, b| distance(&found[*a], expected[i]).total_cmp(&distance(&found[*b], expected[i])));
        found.swap(i, near.unwrap_or(i));
    }
    close64(name, &found.concat(), &expected.concat(), tolerance)
}
