//! Eight lanes as an array: plain Rust that runs everywhere and defines what the other sets should compute.

use super::lanes::Simd;

const LANES: usize = 8;

/// The token of the set that needs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable;

type F = [f32; LANES];

#[inline(always)]
fn each(a: F, b: F, f: impl Fn(f32, f32) -> f32) -> F {
    let mut out = [0.0; LANES];
    for i in 0..LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Portable {
    const LANES: usize = LANES;
    const ROWS: usize = 6;

    type F = F;
    type Array = F;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> F {
        let mut out = [0.0; LANES];
        out.copy_from_slice(&from[..LANES]);
        out
    }

    #[inline(always)]
    fn store(self, v: F, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn lanes(self, v: F) -> F {
        v
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: F, b: F, c: F) -> F {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: F, b: F, c: F) -> F {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn if_negative(self, x: F, yes: F, no: F) -> F {
        let mut out = no;
        for i in 0..LANES {
            if x[i] < 0.0 {
                out[i] = yes[i];
            }
        }
        out
    }

    #[inline(always)]
    fn abs(self, x: F) -> F {
        x.map(f32::abs)
    }

    #[inline(always)]
    fn round(self, x: F) -> F {
        x.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn pow2(self, n: F) -> F {
        n.map(|n| f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23))
    }

    #[inline(always)]
    fn any_differs(self, a: F, b: F) -> bool {
        a != b
    }

    #[inline(always)]
    fn turn<'a>(self, row: impl Fn(usize) -> &'a [f32; 4]) -> [F; 4] {
        let mut out = [[0.0; LANES]; 4];
        for i in 0..LANES {
            for (column, &x) in out.iter_mut().zip(row(i)) {
                column[i] = x;
            }
        }
        out
    }

    #[inline(always)]
    fn turn_back(self, columns: [F; 4], mut put: impl FnMut(usize, &[f32; 4])) {
        for i in 0..LANES {
            put(i, &columns.map(|column| column[i]));
        }
    }
}
