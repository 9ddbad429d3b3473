//! Masks around images: growing them, and padding images for outpainting.

use super::planes::Planes;

/// VAEEncodeForInpaint's noise mask: the rounded mask, grown by a square of `by` pixels. 0 only rounds.
pub fn grown(mask: &Planes, by: usize) -> Planes {
    let [_, _, h, w] = mask.shape();
    if by == 0 {
        return mask.map(h, w, |plane| plane.iter().map(|v| v.round_ties_even()).collect());
    }
    let before = (by - 1).div_ceil(2);
    mask.map(h, w, |plane| {
        let rounded: Vec<f64> = plane.iter().map(|v| f64::from(v.round_ties_even())).collect();
        let across = sums(&rounded, w, by, before);
        let down = sums(&turned(&across, h, w), h, by, before);
        turned(&down, w, h).into_iter().map(|sum| sum.clamp(0.0, 1.0).round_ties_even() as f32).collect()
    })
}

/// Sums over windows of `by` values along rows of `n`, each beginning `before` places earlier.
fn sums(values: &[f64], n: usize, by: usize, before: usize) -> Vec<f64> {
    let window = |row: &[f64]| -> Vec<f64> {
        (0..n)
            .map(|i| {
                let (start, end) = (i.saturating_sub(before), (i + by).saturating_sub(before).min(n));
                row[start.min(end)..end].iter().sum()
            })
            .collect()
    };
    values.chunks_exact(n).flat_map(window).collect()
}

fn turned(values: &[f64], h: usize, w: usize) -> Vec<f64> {
    (0..h * w).map(|i| values[(i % h) * w + i / h]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_even_square_grows_further_to_one_side() {
        let mask = Planes::new([1, 1, 1, 5], vec![0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(grown(&mask, 2).values(), [0.0, 0.0, 1.0, 1.0, 0.0]);
        assert_eq!(grown(&mask, 3).values(), [0.0, 1.0, 1.0, 1.0, 0.0]);
    }
}
