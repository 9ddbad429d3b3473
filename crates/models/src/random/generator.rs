//! torch's CPU generator: uniform, normal and integer draws from one seeded stream.
//!
//! Sources: PyTorch `DistributionTemplates.h`, `DistributionsHelper.h`. Knows nothing of shapes: a draw is a flat
//! list in row-major order.

use half::f16;

use super::mt19937::Mt19937;
use super::normal::{BLOCK, Normal};

/// A `torch.Generator` on the CPU.
#[derive(Debug, Clone)]
pub struct TorchGenerator {
    words: Mt19937,
    /// The second half of a pair drawn one by one; belongs to the generator and survives between calls.
    spare: Option<f64>,
}

impl TorchGenerator {
    /// `torch.manual_seed(seed)`: only the low 32 bits count.
    pub fn new(seed: u64) -> Self {
        Self { words: Mt19937::new(seed), spare: None }
    }

    /// `torch.randn(n)` in f32.
    pub fn randn(&mut self, n: usize) -> Vec<f32> {
        self.normal(n, Self::uniform_f32, |x| x as f32)
    }

    /// `torch.randn(n, dtype=torch.float64)`.
    pub fn randn_f64(&mut self, n: usize) -> Vec<f64> {
        self.normal(n, Self::uniform_f64, |x| x)
    }

    /// `torch.randn(n, dtype=torch.float16)`.
    pub fn randn_f16(&mut self, n: usize) -> Vec<f16> {
        self.normal(n, Self::uniform_f16, f16::from_f64)
    }

    /// `torch.rand(n)` in f32: 24 bits each, in `[0, 1)`.
    pub fn rand(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.uniform_f32()).collect()
    }

    /// `torch.rand(n, dtype=torch.float64)`: 53 bits each.
    pub fn rand_f64(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.uniform_f64()).collect()
    }

    /// `torch.rand(n, dtype=torch.float16)`: 11 bits each.
    pub fn rand_f16(&mut self, n: usize) -> Vec<f16> {
        (0..n).map(|_| self.uniform_f16()).collect()
    }

    /// `torch.randint(0, range, (n,))`; a range of 0 gives zeros.
    pub fn randint(&mut self, range: u64, n: usize) -> Vec<u64> {
        let range = range.max(1);
        (0..n)
            .map(
                |_| {
                    if range < 1 << 28 {
                        u64::from(self.words.next_u32()) % range
                    } else {
                        self.words.next_u64() % range
                    }
                },
            )
            .collect()
    }

    fn uniform_f32(&mut self) -> f32 {
        (self.words.next_u32() & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0)
    }

    fn uniform_f64(&mut self) -> f64 {
        (self.words.next_u64() & ((1 << 53) - 1)) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    fn uniform_f16(&mut self) -> f16 {
        f16::from_f32((self.words.next_u32() & 0x7ff) as f32 * (1.0 / 2048.0))
    }

    /// Fewer than 16 values come one by one through f64, more in blocks of 16 of their own type.
    fn normal<F: Normal>(&mut self, n: usize, uniform: fn(&mut Self) -> F, round: fn(f64) -> F) -> Vec<F> {
        if n < BLOCK {
            return (0..n).map(|_| round(self.single())).collect();
        }
        let mut values: Vec<F> = (0..n).map(|_| uniform(self)).collect();
        values.chunks_exact_mut(BLOCK).for_each(transform);
        if !n.is_multiple_of(BLOCK) {
            let tail = &mut values[n - BLOCK..];
            for v in tail.iter_mut() {
                *v = uniform(self);
            }
            transform(tail);
        }
        values
    }

    fn single(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = std::f64::consts::TAU * u1;
        self.spare = Some(radius * theta.sin());
        radius * theta.cos()
    }
}

/// One block in place: the first eight uniforms pair with the last eight.
fn transform<F: Normal>(block: &mut [F]) {
    let (left, right) = block.split_at_mut(BLOCK / 2);
    for (a, b) in left.iter_mut().zip(right) {
        (*a, *b) = F::pair(*a, *b);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn seeds_that_agree_in_their_low_half_draw_the_same() {
        assert_eq!(TorchGenerator::new(42).randn(64), TorchGenerator::new(42 + (1 << 32)).randn(64));
    }

    #[test]
    fn the_first_values_of_seed_zero_are_the_known_ones() {
        // torch.manual_seed(0); torch.randn(16)[:3]
        let got = TorchGenerator::new(0).randn(16);
        let known = [-1.125_840_2_f32, -1.152_360_2, -0.250_578_6];
        for (a, b) in got.iter().zip(known) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }

    #[test]
    fn a_tail_overwrites_the_last_sixteen_places() {
        let whole = TorchGenerator::new(9).randn(32);
        let odd = TorchGenerator::new(9).randn(33);
        assert_eq!(whole[..17], odd[..17]);
        assert_ne!(whole[17..], odd[17..32]);
    }
}
