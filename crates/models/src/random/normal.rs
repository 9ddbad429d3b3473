//! Pairs of uniform numbers to pairs of normal ones, with the roundings that torch's CPU kernels have.
//!
//! The f32 path follows the vectorised kernel of x86-64 with AVX2: Cephes' polynomials with fused multiply-adds
//! (`avx_mathfun.h`). Every reference image comes from it, so it is used on every machine.

use half::f16;

/// How many values torch transforms at a time: 8 pairs.
pub(super) const BLOCK: usize = 16;

/// A float type that torch draws normal numbers of, 16 at a time.
pub(super) trait Normal: Copy {
    /// Turns two uniform numbers of `[0, 1)` into two independent normal ones (Box and Muller).
    fn pair(u1: Self, u2: Self) -> (Self, Self);
}

impl Normal for f32 {
    fn pair(u1: f32, u2: f32) -> (f32, f32) {
        let radius = (-2.0 * ln(1.0 - u1)).sqrt();
        let (sin, cos) = sin_cos(std::f32::consts::TAU * u2);
        // Adding the mean, 0, turns -0 into +0.
        (radius * cos + 0.0, radius * sin + 0.0)
    }
}

impl Normal for f64 {
    fn pair(u1: f64, u2: f64) -> (f64, f64) {
        let radius = (-2.0 * (1.0 - u1).ln()).sqrt();
        let theta = std::f64::consts::TAU * u2;
        (radius * theta.cos(), radius * theta.sin())
    }
}

impl Normal for f16 {
    /// Each operation rounds to f16, as torch's scalar code on `Half` does.
    fn pair(u1: f16, u2: f16) -> (f16, f16) {
        let rounded = |x: f64| f16::from_f64(x).to_f64();
        let ln = rounded(rounded(1.0 - u1.to_f64()).ln());
        let radius = rounded(rounded(-2.0 * ln).sqrt());
        let theta = rounded(std::f64::consts::TAU * u2.to_f64());
        (f16::from_f64(radius * rounded(theta.cos())), f16::from_f64(radius * rounded(theta.sin())))
    }
}

/// Coefficients of Cephes' `logf`, highest power first, after the leading one.
#[allow(clippy::excessive_precision, reason = "as Cephes prints them")]
const LN: [f32; 8] = [
    -1.151_461_031_0e-1,
    1.167_699_874_0e-1,
    -1.242_014_084_6e-1,
    1.424_932_278_7e-1,
    -1.666_805_766_5e-1,
    2.000_071_476_5e-1,
    -2.499_999_399_3e-1,
    3.333_333_117_4e-1,
];

/// Natural logarithm of a positive normal number.
#[allow(clippy::excessive_precision)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits();
    let mut e = ((bits >> 23) as i32 - 126) as f32;
    let mut x = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    if x < std::f32::consts::FRAC_1_SQRT_2 {
        e -= 1.0;
        x = (x - 1.0) + x;
    } else {
        x -= 1.0;
    }
    let z = x * x;
    let mut y = LN.iter().fold(7.037_683_629_2e-2_f32, |y, &p| y.mul_add(x, p));
    y *= x;
    y = y.mul_add(z, e * -2.121_944_40e-4);
    y -= z * 0.5;
    e.mul_add(0.693_359_375, x + y)
}

/// Sine and cosine of a number that isn't negative.
#[allow(clippy::excessive_precision)]
fn sin_cos(x: f32) -> (f32, f32) {
    let j = ((x * 1.273_239_544_735_16) as i32 + 1) & !1;
    let f = j as f32;
    let x = f.mul_add(-0.785_156_25, x);
    let x = f.mul_add(-2.418_756_484_985_351_562_5e-4, x);
    let x = f.mul_add(-3.774_894_977_445_941_08e-8, x);
    let z = x * x;
    let c = 2.443_315_711_809_948e-5_f32.mul_add(z, -1.388_731_625_493_765e-3);
    let c = c.mul_add(z, 4.166_664_568_298_827e-2) * z;
    let c = c.mul_add(z, -(z * 0.5)) + 1.0;
    let s = (-1.951_529_589_1e-4_f32).mul_add(z, 8.332_160_873_6e-3);
    let s = s.mul_add(z, -1.666_665_461_1e-1) * z;
    let s = s.mul_add(x, x);
    let (sin, cos) = if j & 2 == 0 { (s, c) } else { (c, s) };
    let sin = if j & 4 == 0 { sin } else { -sin };
    let cos = if (j - 2) & 4 == 0 { -cos } else { cos };
    (sin, cos)
}
