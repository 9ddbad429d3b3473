//! GGUF's block types to f32. Layouts as published in ggml's documentation of its block structures.
//!
//! Callers have checked that bytes and elements are whole blocks and belong together.

use half::f16;

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// One f16 scale `d`, then 32 signed bytes: `d * q`.
pub(crate) fn q8_0(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(34).zip(out.chunks_exact_mut(32)) {
        let d = half_at(block, 0);
        for (value, q) in to.iter_mut().zip(&block[2..]) {
            *value = d * (*q as i8) as f32;
        }
    }
}

/// One f16 scale `d`, then 16 bytes: the low nibbles are elements 0..16, the high ones 16..32; `d * (q - 8)`.
pub(crate) fn q4_0(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(18).zip(out.chunks_exact_mut(32)) {
        let d = half_at(block, 0);
        let (low, high) = to.split_at_mut(16);
        for ((l, h), q) in low.iter_mut().zip(high).zip(&block[2..]) {
            *l = d * ((q & 15) as i32 - 8) as f32;
            *h = d * ((q >> 4) as i32 - 8) as f32;
        }
    }
}

/// The 6-bit scale and minimum of group `j` out of 12 packed bytes.
fn scale_and_min(j: usize, packed: &[u8]) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        let high = |at: usize| (packed[at] >> 6) << 4;
        ((packed[j + 4] & 15) | high(j - 4), (packed[j + 4] >> 4) | high(j))
    };
    (scale as f32, min as f32)
}

/// f16 `d` and `dmin`, 12 bytes of 6-bit scales and minima for 8 groups of 32, then 128 bytes of nibbles; each run of
/// 32 bytes holds two groups, low nibbles first: `d * scale * q - dmin * min`.
pub(crate) fn q4_k(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(144).zip(out.chunks_exact_mut(256)) {
        let (d, dmin, packed) = (half_at(block, 0), half_at(block, 2), &block[4..16]);
        for (pair, (run, to)) in block[16..].chunks_exact(32).zip(to.chunks_exact_mut(64)).enumerate() {
            let (s0, m0) = scale_and_min(pair * 2, packed);
            let (s1, m1) = scale_and_min(pair * 2 + 1, packed);
            let (low, high) = to.split_at_mut(32);
            for ((l, h), q) in low.iter_mut().zip(high).zip(run) {
                *l = d * s0 * (q & 15) as f32 - dmin * m0;
                *h = d * s1 * (q >> 4) as f32 - dmin * m1;
            }
        }
    }
}

/// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 signed scales, f16 `d`. Two halves of 128 elements; in
/// each, element `32 k + l` takes its nibble from byte `l + 32 (k % 2)` (high nibble for k ≥ 2) and its upper bits
/// from pair `k` of byte `l`: `d * scale * (q - 32)`.
pub(crate) fn q6_k(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(210).zip(out.chunks_exact_mut(256)) {
        let d = half_at(block, 208);
        for (half, to) in to.chunks_exact_mut(128).enumerate() {
            let low = &block[half * 64..][..64];
            let high = &block[128 + half * 32..][..32];
            let scales = &block[192 + half * 8..][..8];
            for (i, value) in to.iter_mut().enumerate() {
                let (k, l) = (i / 32, i % 32);
                let nibble = (low[l + 32 * (k % 2)] >> (4 * (k / 2))) & 15;
                let q = (nibble | (((high[l] >> (2 * k)) & 3) << 4)) as i32 - 32;
                *value = d * (scales[i / 16] as i8) as f32 * q as f32;
            }
        }
    }
}
