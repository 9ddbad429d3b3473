//! Functions of one element over whole slices. Knows no shapes beyond the rows of a gate.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{Kernel, LANES, Simd};

/// Elements that one task handles: enough to outweigh its start, few enough to spread.
const CHUNK: usize = 16 * 1024;

/// `x · sigmoid(x)` in place.
pub fn silu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Function::Swish(1.0));
}

/// `x · sigmoid(1.702 x)` in place: the activation of OpenAI's CLIP.
pub fn quick_gelu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Function::Swish(1.702));
}

/// `x · Φ(x)` in place, with the exact error function.
pub fn gelu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Function::Gelu);
}

/// `x` where it is positive, `slope · x` elsewhere, in place.
pub fn leaky_relu(isa: Isa, x: &mut [f32], slope: f32) {
    map(isa, x, Function::Leaky(slope));
}

/// `out[r][i] = x[r][i] · gelu(x[r][width + i])` for rows of `2 · width` in `x` and `width` in `out`.
///
/// # Errors
/// [`KernelError`] when `width` is 0 or the lengths are not a multiple and its half.
pub fn geglu(isa: Isa, x: &[f32], width: usize, out: &mut [f32]) -> Result<(), KernelError> {
    let check = Check("geglu");
    check.divides("width", width, out.len())?;
    check.len("x", x.len(), check.product("x", &[2, out.len()])?)?;
    let rows = (CHUNK / width).max(1);
    out.par_chunks_mut(rows * width)
        .zip(x.par_chunks(2 * rows * width))
        .for_each(|(out, x)| isa.run(Geglu { x, width, out }));
    Ok(())
}

#[derive(Clone, Copy)]
enum Function {
    Swish(f32),
    Gelu,
    Leaky(f32),
}

fn map(isa: Isa, x: &mut [f32], function: Function) {
    x.par_chunks_mut(CHUNK).for_each(|x| isa.run(Map { x, function }));
}

struct Map<'a> {
    x: &'a mut [f32],
    function: Function,
}

impl Kernel for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.function {
            Function::Swish(slope) => each(s, self.x, |x| math::swish(s, x, slope)),
            Function::Gelu => each(s, self.x, |x| math::gelu(s, x)),
            Function::Leaky(slope) => {
                let slope = s.splat(slope);
                each(s, self.x, |x| s.if_negative(x, s.mul(x, slope), x));
            }
        }
    }
}

#[inline(always)]
fn each<S: Simd>(s: S, x: &mut [f32], f: impl Fn(S::F) -> S::F) {
    let (full, rest) = x.as_chunks_mut::<LANES>();
    for x in full {
        let y = f(s.load(x));
        s.store(y, x);
    }
    if !rest.is_empty() {
        let y = f(s.load_some(rest));
        s.store_some(y, rest);
    }
}

struct Geglu<'a> {
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Geglu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, width, out } = self;
        for (x, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (value, gate) = x.split_at(width);
            for ((value, gate), out) in value.chunks(LANES).zip(gate.chunks(LANES)).zip(out.chunks_mut(LANES)) {
                let y = s.mul(s.load_some(value), math::gelu(s, s.load_some(gate)));
                s.store_some(y, out);
            }
        }
    }
}
