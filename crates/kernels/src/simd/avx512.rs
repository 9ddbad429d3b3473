//! Sixteen lanes in one AVX-512 register.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m512, _CMP_LT_OQ, _CMP_NEQ_UQ, _CMP_NLT_UQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_ET0,
    _MM_HINT_T0, _MM_HINT_T1, _mm_loadu_ps, _mm_prefetch, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_pd,
    _mm512_add_ps, _mm512_broadcast_f32x4, _mm512_castps512_ps256, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_cvtps_epi32, _mm512_cvtps_pd, _mm512_div_ps, _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_mask_broadcast_f32x4, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_maskz_scalef_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_pd, _mm512_reduce_ps,
    _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_pd, _mm512_setzero_ps,
    _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps, _mm512_unpacklo_ps,
};

use super::instructions::instructions;
use super::lanes::{Kernel, Simd};

const LANES: usize = 16;
/// Rounding to whole numbers: no binary digit stays behind the point.
const WHOLE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// Proof that this machine has AVX-512 as servers have had it since Skylake (F, DQ, BW and VL): only
/// [`Avx512::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The token, where the machine has all of it.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }

    /// Runs `kernel` compiled with these sets.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn with_features<K: Kernel>(token: Avx512, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token exists, so the machine has the sets.
        unsafe { with_features(self, kernel) }
    }
}

// Every `unsafe` below calls an instruction of AVX-512 on values, or on a slice that holds what it reads or writes.
// SAFETY of each: `self` exists, so the machine has the instruction; loads and stores stay inside of the slice.
impl Simd for Avx512 {
    const LANES: usize = LANES;
    // Twelve rows of two vectors leave eight of thirty-two registers for operands.
    const ROWS: usize = 12;

    type F = __m512;
    type Array = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from = &from[..LANES];
        // SAFETY: as said above the impl.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m512, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: as said above the impl.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn lanes(self, v: __m512) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        all
    }

    instructions! { __m512:
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        mul_add(a, b, c) = _mm512_fmadd_ps;
        neg_mul_add(a, b, c) = _mm512_fnmadd_ps;
        min(a, b) = _mm512_min_ps;
        max(a, b) = _mm512_max_ps;
    }

    #[inline(always)]
    fn if_negative(self, x: __m512, yes: __m512, no: __m512) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps()), no, yes) }
    }

    #[inline(always)]
    fn abs(self, x: __m512) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe { _mm512_abs_ps(x) }
    }

    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe { _mm512_roundscale_ps::<WHOLE>(x) }
    }

    #[inline(always)]
    fn pow2(self, n: __m512) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe {
            let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn any_differs(self, a: __m512, b: __m512) -> bool {
        // SAFETY: as said above the impl.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, b) != 0 }
    }

    #[inline(always)]
    fn turn<'a>(self, row: impl Fn(usize) -> &'a [f32; 4]) -> [__m512; 4] {
        // Rows `i`, `i + 4`, `i + 8` and `i + 12` share a vector, so that turning each quarter for itself puts every row
        // in its lane.
        let fours = [
            four(self, [row(0), row(4), row(8), row(12)]),
            four(self, [row(1), row(5), row(9), row(13)]),
            four(self, [row(2), row(6), row(10), row(14)]),
            four(self, [row(3), row(7), row(11), row(15)]),
        ];
        turn_quarters(self, fours)
    }

    #[inline(always)]
    fn turn_back(self, columns: [__m512; 4], mut put: impl FnMut(usize, &[f32; 4])) {
        for (i, four) in turn_quarters(self, columns).into_iter().enumerate() {
            let all = self.lanes(four);
            let (rows, _) = all.as_chunks::<4>();
            for (quarter, row) in rows.iter().enumerate() {
                put(i + 4 * quarter, row);
            }
        }
    }

    #[inline(always)]
    fn fetch(self, from: &[f32], at: usize) {
        // SAFETY: a hint reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn fetch_early(self, from: &[f32], at: usize) {
        // SAFETY: a hint reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn fetch_to_write(self, from: &[f32], at: usize) {
        // SAFETY: a hint reads nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(from.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn scale(self, p: __m512, n: __m512) -> __m512 {
        // SAFETY: as said above the impl.
        unsafe { _mm512_scalef_ps(p, n) }
    }

    #[inline(always)]
    fn whole_and_rest(self, x: __m512) -> (__m512, __m512) {
        // SAFETY: as said above the impl.
        let rest = unsafe { _mm512_reduce_ps::<WHOLE>(x) };
        (self.sub(x, rest), rest)
    }

    #[inline(always)]
    fn scale_down(self, p: __m512, n: __m512) -> __m512 {
        // SAFETY: as said above the impl. "Not less" holds for NaN, which so comes through.
        unsafe { _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(n, _mm512_set1_ps(-126.0)), p, n) }
    }

    #[inline(always)]
    fn wide_sum(self, parts: [__m512; 4]) -> f64 {
        // SAFETY: as said above the impl.
        unsafe {
            let mut total = _mm512_setzero_pd();
            for part in parts {
                let (low, high) = (_mm512_castps512_ps256(part), _mm512_extractf32x8_ps::<1>(part));
                total = _mm512_add_pd(total, _mm512_add_pd(_mm512_cvtps_pd(low), _mm512_cvtps_pd(high)));
            }
            _mm512_reduce_add_pd(total)
        }
    }

    #[inline(always)]
    fn load_some(self, from: &[f32]) -> __m512 {
        // SAFETY: as said above the impl; the mask leaves out what lies behind the slice.
        unsafe { _mm512_maskz_loadu_ps(first(from.len()), from.as_ptr()) }
    }

    #[inline(always)]
    fn store_some(self, v: __m512, to: &mut [f32]) {
        // SAFETY: as said above the impl; the mask leaves out what lies behind the slice.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first(to.len()), v) }
    }
}

/// A mask of the first `count` lanes.
#[inline(always)]
fn first(count: usize) -> u16 {
    if count >= LANES { u16::MAX } else { (1_u16 << count) - 1 }
}

/// Four rows in one vector. Loads with a mask put them there without the one port that shuffles.
#[inline(always)]
fn four(_: Avx512, rows: [&[f32; 4]; 4]) -> __m512 {
    // SAFETY: the token exists, so the machine has AVX-512; each load reads four floats of an array of four.
    unsafe {
        let v = _mm512_broadcast_f32x4(_mm_loadu_ps(rows[0].as_ptr()));
        let v = _mm512_mask_broadcast_f32x4(v, 0x00F0, _mm_loadu_ps(rows[1].as_ptr()));
        let v = _mm512_mask_broadcast_f32x4(v, 0x0F00, _mm_loadu_ps(rows[2].as_ptr()));
        _mm512_mask_broadcast_f32x4(v, 0xF000, _mm_loadu_ps(rows[3].as_ptr()))
    }
}

/// Turns the 4x4 matrix in each quarter.
#[inline(always)]
fn turn_quarters(_: Avx512, v: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: the token exists, so the machine has AVX-512.
    unsafe {
        let (a, b) = (_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
        let (c, d) = (_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
        [
            _mm512_shuffle_ps::<0x44>(a, c),
            _mm512_shuffle_ps::<0xEE>(a, c),
            _mm512_shuffle_ps::<0x44>(b, d),
            _mm512_shuffle_ps::<0xEE>(b, d),
        ]
    }
}
