//! Scalars as the reference has them, in f32, and sums of scaled latents.

use burn::tensor::Tensor;

/// A latent, `[B, C, H, W]` in f32.
pub(super) type Latent = Tensor<4>;

/// e^x, evaluated in f64.
pub(super) fn exp(x: f32) -> f32 {
    f64::from(x).exp() as f32
}

/// e^x - 1, evaluated in f64.
pub(super) fn expm1(x: f32) -> f32 {
    f64::from(x).exp_m1() as f32
}

/// Natural logarithm, evaluated in f64; minus infinity at 0.
pub(super) fn ln(x: f32) -> f32 {
    f64::from(x).ln() as f32
}

/// `torch.lerp(a, b, 0.5)`.
pub(super) fn halfway(a: f32, b: f32) -> f32 {
    b - (b - a) * 0.5
}

/// The sum of latents times factors, from left to right. Terms with a factor of 0 are left out.
pub(super) fn mix<const N: usize>(terms: [(f32, &Latent); N]) -> Latent {
    let scaled = |(factor, latent): &(f32, &Latent)| {
        if *factor == 1.0 { (*latent).clone() } else { (*latent).clone().mul_scalar(*factor) }
    };
    let counting = terms.iter().filter(|(factor, _)| *factor != 0.0);
    // All factors 0: the first term, which is then zeros.
    counting.map(scaled).reduce(|sum, term| sum + term).unwrap_or_else(|| scaled(&terms[0]))
}

/// Direction from the denoised latent to the noisy one, per unit of noise.
pub(super) fn direction(x: &Latent, sigma: f32, denoised: &Latent) -> Latent {
    (x.clone() - denoised.clone()).div_scalar(sigma)
}

/// How far an ancestral step goes down, and how much noise it adds afterwards (k-diffusion `get_ancestral_step`).
pub(super) fn ancestral(from: f32, to: f32, eta: f32) -> (f32, f32) {
    if eta == 0.0 {
        return (to, 0.0);
    }
    let wanted = eta * (to * to * (from * from - to * to) / (from * from)).sqrt();
    // Python's min keeps the first where the second isn't a number.
    let up = if wanted < to { wanted } else { to };
    ((to * to - up * up).max(0.0).sqrt(), up)
}

/// The same on a straight path (flow matching): the level to go down to, the share of the image that stays, and the
/// noise to add.
pub(super) struct FlowAncestral {
    pub(super) down: f32,
    pub(super) keep: f32,
    pub(super) renoise: f32,
}

impl FlowAncestral {
    pub(super) fn new(from: f32, to: f32, eta: f32) -> Self {
        let down = to * (1.0 + (to / from - 1.0) * eta);
        let (alpha, alpha_down) = (1.0 - to, 1.0 - down);
        let renoise = (to * to - down * down * (alpha * alpha) / (alpha_down * alpha_down)).sqrt();
        Self { down, keep: alpha / alpha_down, renoise }
    }
}

/// Solves a small square system by elimination with pivoting. `None` when it is singular.
pub(super) fn solve(mut rows: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = right.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        if rows[pivot][column] == 0.0 {
            return None;
        }
        rows.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..n {
            let factor = rows[row][column] / rows[column][column];
            let (upper, lower) = rows.split_at_mut(row);
            lower[0].iter_mut().zip(&upper[column]).skip(column).for_each(|(a, b)| *a -= factor * b);
            right[row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| rows[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / rows[row][row];
    }
    Some(right)
}
