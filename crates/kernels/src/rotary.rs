//! Rotary positions: pairs of elements of each head turned by angles that belong to the row.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::simd::{Kernel, Simd};

/// Elements that one task turns, about.
const CHUNK: usize = 32 * 1024;

/// Which elements of a head make up a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// `2j` and `2j + 1`, as image networks have it.
    Neighbours,
    /// `j` and `j + d / 2`, as language models have it.
    Halves,
}

/// Cosines and sines, a row of `half` of each per token.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    /// Pairs of a head.
    pub half: usize,
    /// `[tokens, half]`.
    pub cos: &'a [f32],
    /// `[tokens, half]`.
    pub sin: &'a [f32],
}

/// `(a, b)` becomes `(a cos - b sin, a sin + b cos)` for each pair of each head, in place.
///
/// # Shapes
/// `x` `[batch, tokens, width]` with heads of `2 · angles.half` side by side in `width`.
/// # Errors
/// [`KernelError`] when the lengths do not fit.
pub fn rotate(isa: Isa, x: &mut [f32], width: usize, angles: Angles<'_>, pairs: Pairs) -> Result<(), KernelError> {
    let check = Check("rotate");
    let Angles { half, cos, sin } = angles;
    check.divides("angles", check.product("angles", &[2, half])?, width)?;
    check.divides("angles", half, cos.len())?;
    check.len("angles", sin.len(), cos.len())?;
    if x.is_empty() {
        return Ok(());
    }
    let tokens = cos.len() / half;
    check.divides("tokens and width", check.product("x", &[tokens, width])?, x.len())?;
    let rows = (CHUNK / width).max(1);
    x.par_chunks_mut(rows * width).enumerate().for_each(|(i, x)| {
        isa.run(Rotate { x, width, first: i * rows, tokens, angles, pairs });
    });
    Ok(())
}

struct Rotate<'a> {
    x: &'a mut [f32],
    width: usize,
    /// The number of the first row.
    first: usize,
    tokens: usize,
    angles: Angles<'a>,
    pairs: Pairs,
}

impl Kernel for Rotate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Angles { half, cos, sin } = self.angles;
        for (i, row) in self.x.chunks_exact_mut(self.width).enumerate() {
            let at = (self.first + i) % self.tokens * half;
            let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
            for head in row.chunks_exact_mut(2 * half) {
                match self.pairs {
                    Pairs::Neighbours => turn_neighbours(head, cos, sin),
                    Pairs::Halves => turn_halves(head, cos, sin),
                }
            }
        }
    }
}

// Plain loops: compiled with a set's instructions they become vectors by themselves.

#[inline(always)]
fn turn_neighbours(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (pairs, _) = head.as_chunks_mut::<2>();
    for ((pair, cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
        let [a, b] = *pair;
        *pair = [a * cos - b * sin, a * sin + b * cos];
    }
}

#[inline(always)]
fn turn_halves(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (low, high) = head.split_at_mut(cos.len());
    for (((a, b), cos), sin) in low.iter_mut().zip(high).zip(cos).zip(sin) {
        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
    }
}
