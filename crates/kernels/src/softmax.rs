//! Softmax of rows.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{Kernel, LANES, Simd};

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
            let largest = s.splat(row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a }));
            let mut total = 0.0;
            for block in row.chunks_mut(BLOCK) {
                total += exponentials(s, block, largest);
            }
            let factor = s.splat((1.0 / total) as f32);
            for x in row.chunks_mut(LANES) {
                let y = s.mul(s.load_some(x), factor);
                s.store_some(y, x);
            }
        }
    }
}

/// Replaces each `x` of a block by `exp(x - largest)` and returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, block: &mut [f32], largest: S::F) -> f64 {
    let mut sum = s.splat(0.0);
    let (full, rest) = block.as_chunks_mut::<LANES>();
    for x in full {
        let y = math::exp(s, s.sub(s.load(x), largest));
        sum = s.add(sum, y);
        s.store(y, x);
    }
    let mut total: f64 = s.lanes(sum).iter().map(|&x| f64::from(x)).sum();
    if !rest.is_empty() {
        let y = math::exp(s, s.sub(s.load_some(rest), largest));
        s.store_some(y, rest);
        total += rest.iter().map(|&x| f64::from(x)).sum::<f64>();
    }
    total
}
