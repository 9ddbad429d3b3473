//! Functions of one element over whole slices. Knows no shapes beyond the rows of a gate.

use rayon::prelude::*;

use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::math;
use crate::simd::{Kernel, Simd};

/// Elements that one task handles: enough to outweigh its start, few enough to spread.
const CHUNK: usize = 16 * 1024;

/// `x · sigmoid(x)` in place.
pub fn silu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Swish(1.0));
}

/// `x · sigmoid(1.702 x)` in place: the activation of OpenAI's CLIP.
pub fn quick_gelu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Swish(1.702));
}

/// `x · Φ(x)` in place, with the exact error function.
pub fn gelu(isa: Isa, x: &mut [f32]) {
    map(isa, x, Gelu);
}

/// GELU by tanh in place: `x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`, torch's `approximate="tanh"`.
pub fn gelu_tanh(isa: Isa, x: &mut [f32]) {
    map(isa, x, GeluTanh);
}

/// `x` where it is positive, `slope · x` elsewhere, in place.
pub fn leaky_relu(isa: Isa, x: &mut [f32], slope: f32) {
    map(isa, x, Leaky(slope));
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

/// `out[r][i] = silu(x[r][i]) · x[r][width + i]` for rows of `2 · width` in `x` and `width` in `out`.
///
/// # Errors
/// [`KernelError`] when `width` is 0 or the lengths are not a multiple and its half.
pub fn swiglu(isa: Isa, x: &[f32], width: usize, out: &mut [f32]) -> Result<(), KernelError> {
    let check = Check("swiglu");
    check.divides("width", width, out.len())?;
    check.len("x", x.len(), check.product("x", &[2, out.len()])?)?;
    let rows = (CHUNK / width).max(1);
    let tasks = out.par_chunks_mut(rows * width).zip(x.par_chunks(2 * rows * width));
    tasks.for_each(|(out, x)| isa.run(Swiglu { x, width, out }));
    Ok(())
}

/// `x = silu(x) · factor`, element by element.
///
/// # Errors
/// [`KernelError`] when the lengths differ.
pub fn silu_product(isa: Isa, x: &mut [f32], factor: &[f32]) -> Result<(), KernelError> {
    Check("silu_product").len("factor", factor.len(), x.len())?;
    let tasks = x.par_chunks_mut(CHUNK).zip(factor.par_chunks(CHUNK));
    tasks.for_each(|(x, factor)| isa.run(SiluProduct { x, factor }));
    Ok(())
}

/// A function of one element, on lanes. A trait and no closure: closures are not compiled with a set's instructions.
trait Function: Copy + Send + Sync {
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F;
}

#[derive(Clone, Copy)]
struct Swish(f32);

impl Function for Swish {
    #[inline(always)]
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F {
        math::swish(s, x, self.0)
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F {
        math::gelu(s, x)
    }
}

#[derive(Clone, Copy)]
struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F {
        math::gelu_tanh(s, x)
    }
}

#[derive(Clone, Copy)]
struct Leaky(f32);

impl Function for Leaky {
    #[inline(always)]
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F {
        s.if_negative(x, s.mul(x, s.splat(self.0)), x)
    }
}

fn map(isa: Isa, x: &mut [f32], function: impl Function) {
    x.par_chunks_mut(CHUNK).for_each(|x| isa.run(Map { x, function }));
}

struct Map<'a, F> {
    x: &'a mut [f32],
    function: F,
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in self.x.chunks_mut(S::LANES) {
            s.store_some(self.function.of(s, s.load_some(x)), x);
        }
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
            let vectors = value.chunks(S::LANES).zip(gate.chunks(S::LANES));
            for ((value, gate), out) in vectors.zip(out.chunks_mut(S::LANES)) {
                let y = s.mul(s.load_some(value), math::gelu(s, s.load_some(gate)));
                s.store_some(y, out);
            }
        }
    }
}

struct Swiglu<'a> {
    x: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Swiglu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, width, out } = self;
        for (x, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
            let (gate, value) = x.split_at(width);
            let vectors = gate.chunks(S::LANES).zip(value.chunks(S::LANES));
            for ((gate, value), out) in vectors.zip(out.chunks_mut(S::LANES)) {
                s.store_some(s.mul(math::swish(s, s.load_some(gate), 1.0), s.load_some(value)), out);
            }
        }
    }
}

struct SiluProduct<'a> {
    x: &'a mut [f32],
    factor: &'a [f32],
}

impl Kernel for SiluProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (x, factor) in self.x.chunks_mut(S::LANES).zip(self.factor.chunks(S::LANES)) {
            s.store_some(s.mul(math::swish(s, s.load_some(x), 1.0), s.load_some(factor)), x);
        }
    }
}
