//! Eight lanes in one AVX register, with fused multiply-add.
#![allow(unsafe_code)]

use std::arch::x86_64::{
    __m256, _CMP_LT_OQ, _CMP_NEQ_UQ, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _MM_HINT_ET0, _MM_HINT_T0,
    _MM_HINT_T1, _mm_loadu_ps, _mm_prefetch, _mm256_add_epi32, _mm256_add_ps, _mm256_andnot_ps, _mm256_blendv_ps,
    _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_round_ps, _mm256_set_m128,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
};

use super::instructions::instructions;
use super::lanes::{Kernel, Simd};

const LANES: usize = 8;

/// Proof that this machine has AVX2 and FMA: only [`Avx2::detect`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The token, where the machine has both sets.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }

    /// Runs `kernel` compiled with both sets.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn with_features<K: Kernel>(token: Avx2, kernel: K) -> K::Output {
            kernel.run(token)
        }
        // SAFETY: the token exists, so the machine has both sets.
        unsafe { with_features(self, kernel) }
    }
}

// Every `unsafe` below calls an instruction of AVX2 or FMA on values, or on a slice of exactly eight floats.
// SAFETY of each: `self` exists, so the machine has the instruction; loads and stores stay inside of the slice.
impl Simd for Avx2 {
    const LANES: usize = LANES;
    // Six rows of two vectors leave four of sixteen registers for operands.
    const ROWS: usize = 6;

    type F = __m256;
    type Array = [f32; LANES];

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: as said above the impl.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from = &from[..LANES];
        // SAFETY: as said above the impl.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m256, to: &mut [f32]) {
        let to = &mut to[..LANES];
        // SAFETY: as said above the impl.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn lanes(self, v: __m256) -> [f32; LANES] {
        let mut all = [0.0; LANES];
        self.store(v, &mut all);
        all
    }

    instructions! { __m256:
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        mul_add(a, b, c) = _mm256_fmadd_ps;
        neg_mul_add(a, b, c) = _mm256_fnmadd_ps;
        min(a, b) = _mm256_min_ps;
        max(a, b) = _mm256_max_ps;
    }

    #[inline(always)]
    fn if_negative(self, x: __m256, yes: __m256, no: __m256) -> __m256 {
        // SAFETY: as said above the impl.
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps())) }
    }

    #[inline(always)]
    fn abs(self, x: __m256) -> __m256 {
        // SAFETY: as said above the impl.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), x) }
    }

    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        // SAFETY: as said above the impl.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x) }
    }

    #[inline(always)]
    fn pow2(self, n: __m256) -> __m256 {
        // SAFETY: as said above the impl.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
        }
    }

    #[inline(always)]
    fn any_differs(self, a: __m256, b: __m256) -> bool {
        // SAFETY: as said above the impl.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(a, b)) != 0 }
    }

    #[inline(always)]
    fn turn<'a>(self, row: impl Fn(usize) -> &'a [f32; 4]) -> [__m256; 4] {
        // Rows `i` and `i + 4` share a vector, so that turning each half for itself puts every row in its lane.
        let pairs = [
            pair(self, row(0), row(4)),
            pair(self, row(1), row(5)),
            pair(self, row(2), row(6)),
            pair(self, row(3), row(7)),
        ];
        turn_halves(self, pairs)
    }

    #[inline(always)]
    fn turn_back(self, columns: [__m256; 4], mut put: impl FnMut(usize, &[f32; 4])) {
        for (i, pair) in turn_halves(self, columns).into_iter().enumerate() {
            let all = self.lanes(pair);
            let (rows, _) = all.as_chunks::<4>();
            put(i, &rows[0]);
            put(i + 4, &rows[1]);
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
}

/// Two rows in one vector.
#[inline(always)]
fn pair(_: Avx2, low: &[f32; 4], high: &[f32; 4]) -> __m256 {
    // SAFETY: the token exists, so the machine has AVX2; both loads read four floats of an array of four.
    unsafe { _mm256_set_m128(_mm_loadu_ps(high.as_ptr()), _mm_loadu_ps(low.as_ptr())) }
}

/// Turns the 4x4 matrix in the lower halves and that in the upper halves.
#[inline(always)]
fn turn_halves(_: Avx2, v: [__m256; 4]) -> [__m256; 4] {
    // SAFETY: the token exists, so the machine has AVX2.
    unsafe {
        let (a, b) = (_mm256_unpacklo_ps(v[0], v[1]), _mm256_unpackhi_ps(v[0], v[1]));
        let (c, d) = (_mm256_unpacklo_ps(v[2], v[3]), _mm256_unpackhi_ps(v[2], v[3]));
        [
            _mm256_shuffle_ps::<0x44>(a, c),
            _mm256_shuffle_ps::<0xEE>(a, c),
            _mm256_shuffle_ps::<0x44>(b, d),
            _mm256_shuffle_ps::<0xEE>(b, d),
        ]
    }
}
