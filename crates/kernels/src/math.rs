//! Exponential, logistic and error function on lanes. Relative errors are a few units in the last place.

use crate::simd::Simd;

/// `e^x`: 0 below -104, infinite from 88.8 on, subnormal results included, NaN stays NaN.
///
/// Cody-Waite reduction and the polynomial of Cephes' `expf` (Moshier), relative error below 2e-7.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // The argument comes second, where `min` and `max` let a NaN through.
    let x = s.max(s.splat(-104.0), s.min(s.splat(89.0), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.neg_mul_add(n, s.splat(0.693_359_4), x);
    let r = s.neg_mul_add(n, s.splat(-2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = s.mul_add(p, r, s.splat(c));
    }
    let p = s.add(s.mul_add(p, s.mul(r, r), r), s.splat(1.0));
    s.scale(p, n)
}

/// `2^x` for `x <= 0`, 0 below -126.5, NaN stays NaN. The softmax of attention needs no more.
///
/// Polynomial of Cephes' `exp2f` (Moshier), relative error below 2e-7.
#[inline(always)]
pub(crate) fn exp2_negative<S: Simd>(s: S, x: S::F) -> S::F {
    let (n, r) = s.whole_and_rest(x);
    let mut p = s.splat(1.535_336_2e-4);
    for c in [1.339_887_4e-3, 9.618_437e-3, 5.550_332_5e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.scale_down(p, n)
}

/// `x / (1 + e^(-slope x))`: SiLU for slope 1, CLIP's quick GELU for 1.702.
#[inline(always)]
pub(crate) fn swish<S: Simd>(s: S, x: S::F, slope: f32) -> S::F {
    s.div(x, s.add(s.splat(1.0), exp(s, s.mul(x, s.splat(-slope)))))
}

/// GELU by tanh. `(1 + tanh u) / 2` is the logistic function of `2 u`, so it is a swish whose slope grows with `x²`.
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    // -2 √(2/π) and that times 0.044715.
    let slope = s.mul_add(s.mul(x, x), s.splat(-0.071_354_814), s.splat(-1.595_769));
    s.div(x, s.add(s.splat(1.0), exp(s, s.mul(x, slope))))
}

/// `x Φ(x)` with the normal distribution's Φ: GELU without approximation by tanh.
///
/// Φ comes from the complementary error function, whose relative error stays below 3e-7 far into the tail
/// (Press et al., Numerical Recipes, `erfcc`), so that small negative results keep their digits.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let z = s.mul(s.abs(x), s.splat(std::f32::consts::FRAC_1_SQRT_2));
    let t = s.div(s.splat(1.0), s.mul_add(z, s.splat(0.5), s.splat(1.0)));
    let mut p = s.splat(0.170_872_77);
    for c in [
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ] {
        p = s.mul_add(p, t, s.splat(c));
    }
    let erfc = s.mul(t, exp(s, s.neg_mul_add(z, z, p)));
    let below = s.mul(s.splat(0.5), erfc);
    s.mul(x, s.if_negative(x, below, s.sub(s.splat(1.0), below)))
}
