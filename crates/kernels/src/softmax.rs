//! Softmax of rows.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};

/// Elements whose f32 sum goes into the f64 sum of the row.
const BLOCK: usize = 512;

/// `exp(x - max) / Σ exp(x - max)` along each row of `width`, in place. A row with a NaN or +∞ becomes NaN, as in torch.
///
/// # Errors
/// [`KernelError`] when `width` does not divide the length of `x`.
pub fn softmax(isa: Isa, x: &mut [f32], width: usize) -> Result<(), KernelError> {
    Check("softmax").divides("width", width, x.len())?;
    let rows = (16 * 1024 / width).max(1);
    x.par_chunks_mut(rows * width).for_each(|x| isa.run(Softmax { x, width }));
    Ok(())
}

struct Softmax<'a> {
    x: &'a mut [f32],
    width: usize,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for row in self.x.chunks_exact_mut(self.width) {
            let largest = s.splat(largest(s, row));
            let mut total = 0.0;
            for block in row.chunks_mut(BLOCK) {
                total += exponentials(s, block, largest);
            }
            let factor = s.splat((1.0 / total) as f32);
            for x in row.chunks_mut(S::LANES) {
                let y = s.mul(s.load_some(x), factor);
                s.store_some(y, x);
            }
        }
    }
}

/// The largest number of a row, as far as it has numbers.
#[inline(always)]
fn largest<S: Simd>(s: S, row: &[f32]) -> f32 {
    let mut most = s.splat(f32::NEG_INFINITY);
    let full = row.chunks_exact(S::LANES);
    let rest = full.remainder();
    for x in full {
        most = s.max(s.load(x), most);
    }
    s.lanes(most).as_ref().iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Replaces each `x` of a block by `exp(x - largest)` and returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, block: &mut [f32], largest: S::F) -> f64 {
    let mut sum = s.splat(0.0);
    let mut full = block.chunks_exact_mut(S::LANES);
    for x in &mut full {
        let y = math::exp(s, s.sub(s.load(x), largest));
        sum = s.add(sum, y);
        s.store(y, x);
    }
    let rest = full.into_remainder();
    let mut total: f64 = s.lanes(sum).as_ref().iter().map(|&x| f64::from(x)).sum();
    if !rest.is_empty() {
        let y = math::exp(s, s.sub(s.load_some(rest), largest));
        s.store_some(y, rest);
        total += rest.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    total
}
