//! `torch.linspace`, bit for bit.

/// `torch.linspace(a, b, n)` in f32: stepped from the nearer end with a fused multiply-add. `n = 1` gives `[a]`.
pub fn linspace(a: f32, b: f32, n: usize) -> Vec<f32> {
    let step = if n > 1 { (b - a) / (n - 1) as f32 } else { 0.0 };
    (0..n)
        .map(|i| if i < n / 2 || n == 1 { step.mul_add(i as f32, a) } else { (-step).mul_add((n - 1 - i) as f32, b) })
        .collect()
}

/// `torch.linspace(a, b, n, dtype=torch.float64)`.
pub(super) fn linspace64(a: f64, b: f64, n: usize) -> Vec<f64> {
    let step = if n > 1 { (b - a) / (n - 1) as f64 } else { 0.0 };
    (0..n)
        .map(|i| if i < n / 2 || n == 1 { step.mul_add(i as f64, a) } else { (-step).mul_add((n - 1 - i) as f64, b) })
        .collect()
}
