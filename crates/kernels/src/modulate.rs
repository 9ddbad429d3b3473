//! What a vector per sample does to all of its tokens: a gate before a sum.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::simd::{Kernel, Simd};

/// Rows that one task handles.
const ROWS_PER_TASK: usize = 32;

/// `x = x + gate · y` in place.
///
/// # Shapes
/// `x` and `y` `[batch, tokens, width]`, `gate` `[batch, width]`.
/// # Errors
/// [`KernelError`] when lengths do not fit.
pub fn add_gated(isa: Isa, x: &mut [f32], y: &[f32], gate: &[f32], width: usize) -> Result<(), KernelError> {
    let check = Check("add_gated");
    check.divides("width", width, gate.len())?;
    check.len("y", y.len(), x.len())?;
    if x.is_empty() {
        return Ok(());
    }
    check.divides("gate", gate.len(), x.len())?;
    let sample = x.len() / (gate.len() / width);
    let samples = x.par_chunks_mut(sample).zip(y.par_chunks(sample)).zip(gate.par_chunks(width));
    samples.for_each(|((x, y), gate)| {
        let rows = x.par_chunks_mut(ROWS_PER_TASK * width).zip(y.par_chunks(ROWS_PER_TASK * width));
        rows.for_each(|(x, y)| isa.run(AddGated { x, y, gate }));
    });
    Ok(())
}

struct AddGated<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
    gate: &'a [f32],
}

impl Kernel for AddGated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.gate.len();
        for (x, y) in self.x.chunks_exact_mut(width).zip(self.y.chunks_exact(width)) {
            let vectors = x.chunks_mut(S::LANES).zip(y.chunks(S::LANES)).zip(self.gate.chunks(S::LANES));
            for ((x, y), gate) in vectors {
                s.store_some(s.mul_add(s.load_some(y), s.load_some(gate), s.load_some(x)), x);
            }
        }
    }
}
