//! Pillow's Lanczos filter on bytes, in its fixed-point arithmetic.

/// Bits after the point of a coefficient.
const BITS: u32 = 22;

/// One plane of values 0..1 through bytes.
pub(super) fn resize(plane: &[f32], [rows, columns]: [usize; 2], [height, width]: [usize; 2]) -> Vec<f32> {
    let bytes: Vec<u8> = plane.iter().map(|v| (v * 255.0).clamp(0.0, 255.0) as u8).collect();
    let wide = if width == columns { bytes } else { across(&bytes, columns, width) };
    let tall = if height == rows { wide } else { transposed(&across(&transposed(&wide, width), rows, height), height) };
    tall.into_iter().map(|b| f32::from(b) / 255.0).collect()
}

/// Rows of `columns` bytes to rows of `width`.
fn across(bytes: &[u8], columns: usize, width: usize) -> Vec<u8> {
    let taps: Vec<(usize, Vec<i64>)> = (0..width).map(|i| coefficients(i, columns, width)).collect();
    let one = |row: &[u8], (start, weights): &(usize, Vec<i64>)| {
        let sum: i64 = weights.iter().zip(&row[*start..]).map(|(w, b)| w * i64::from(*b)).sum();
        ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    };
    bytes.chunks_exact(columns).flat_map(|row| taps.iter().map(move |t| one(row, t))).collect()
}

/// First source position and the weights from there on.
fn coefficients(i: usize, columns: usize, width: usize) -> (usize, Vec<i64>) {
    let scale = columns as f64 / width as f64;
    let filter = scale.max(1.0);
    let support = 3.0 * filter;
    let center = (i as f64 + 0.5) * scale;
    let start = ((center - support + 0.5) as i64).max(0) as usize;
    let end = ((center + support + 0.5) as usize).min(columns);
    let weights: Vec<f64> = (start..end).map(|j| lanczos((j as f64 - center + 0.5) / filter)).collect();
    let sum: f64 = weights.iter().sum();
    let fixed = |w: f64| {
        let scaled = w / sum * f64::from(1u32 << BITS);
        (scaled + 0.5f64.copysign(scaled)) as i64
    };
    (start, weights.into_iter().map(fixed).collect())
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

fn transposed(bytes: &[u8], columns: usize) -> Vec<u8> {
    (0..columns).flat_map(|x| bytes.iter().skip(x).step_by(columns).copied()).collect()
}
