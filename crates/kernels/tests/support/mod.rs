//! Random numbers, thread pools and comparisons for the tests of all kernels.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use kiln_kernels::Isa;

/// A small reproducible generator (xorshift64*, Vigna 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A whole number in `from..to`.
    pub fn size(&mut self, from: usize, to: usize) -> usize {
        from + (self.bits() >> 33) as usize % (to - from)
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.size(0, choices.len())]
    }

    /// Roughly normal numbers, as sums of four uniform ones.
    pub fn normal(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (0..4).map(|_| (self.bits() >> 40) as f32 / 16_777_216.0 - 0.5).sum::<f32>() * 1.73).collect()
    }
}

/// Every instruction set of this machine.
pub fn sets() -> Vec<Isa> {
    Isa::all()
}

/// Runs `work` on a pool of `threads`.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// The same bits from 1, 2 and 4 threads.
pub fn assert_same_on_any_number_of_threads(work: impl Fn() -> Vec<f32> + Sync) {
    let bits = |threads| on_threads(threads, &work).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    let one = bits(1);
    assert!(one == bits(2), "2 threads give other bits than 1");
    assert!(one == bits(4), "4 threads give other bits than 1");
}

/// The largest difference, relative to the largest expected magnitude.
pub fn error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-30_f64, |a, b| a.max(b.abs()));
    let mut worst = 0.0_f64;
    for (f, e) in found.iter().zip(expected) {
        let difference = (f64::from(*f) - e).abs();
        assert!(difference.is_finite(), "found {f}, expected {e}");
        worst = worst.max(difference);
    }
    worst / largest
}

/// Fails when the relative error exceeds `tolerance`.
pub fn assert_near(what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
    let error = error(found, expected);
    assert!(error <= tolerance, "{what}: relative error {error:.2e}, allowed {tolerance:.0e}");
}

/// `1 - erf(z)` in f64: a series near zero, a continued fraction beyond (Abramowitz and Stegun 7.1.6, 7.1.14).
pub fn erfc(z: f64) -> f64 {
    if z < 0.0 {
        return 2.0 - erfc(-z);
    }
    let gauss = (-z * z).exp() / std::f64::consts::PI.sqrt();
    if z < 3.0 {
        let (mut term, mut sum) = (2.0 * z, 2.0 * z);
        for n in 1..200 {
            term *= 2.0 * z * z / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - sum * gauss;
    }
    let mut fraction = z;
    for n in (1..120).rev() {
        fraction = z + f64::from(n) / 2.0 / fraction;
    }
    gauss / fraction
}

pub fn gelu(x: f64) -> f64 {
    0.5 * x * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}
