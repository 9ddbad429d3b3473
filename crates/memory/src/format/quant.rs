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

/// f16 `d` and `m`, then 16 bytes of nibbles as in [`q4_0`]: `d * q + m`.
pub(crate) fn q4_1(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(20).zip(out.chunks_exact_mut(32)) {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        let (low, high) = to.split_at_mut(16);
        for ((l, h), q) in low.iter_mut().zip(high).zip(&block[4..]) {
            *l = d * (q & 15) as f32 + m;
            *h = d * (q >> 4) as f32 + m;
        }
    }
}

/// One f16 scale `d`, 32 fifth bits, then 16 bytes of nibbles as in [`q4_0`]: `d * (q - 16)`.
pub(crate) fn q5_0(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(22).zip(out.chunks_exact_mut(32)) {
        let d = half_at(block, 0);
        five_bits(&block[2..], to, |q| d * (q as i32 - 16) as f32);
    }
}

/// f16 `d` and `m`, 32 fifth bits, then 16 bytes of nibbles: `d * q + m`.
pub(crate) fn q5_1(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(24).zip(out.chunks_exact_mut(32)) {
        let (d, m) = (half_at(block, 0), half_at(block, 2));
        five_bits(&block[4..], to, |q| d * q as f32 + m);
    }
}

/// 32 numbers of 5 bits: their fifth bits in four bytes, then their nibbles in 16.
fn five_bits(packed: &[u8], to: &mut [f32], value: impl Fn(u32) -> f32) {
    let fifth = u32::from_le_bytes([packed[0], packed[1], packed[2], packed[3]]);
    let (low, high) = to.split_at_mut(16);
    for (i, ((l, h), q)) in low.iter_mut().zip(high).zip(&packed[4..]).enumerate() {
        *l = value((q & 15) as u32 | (((fifth >> i) & 1) << 4));
        *h = value((q >> 4) as u32 | (((fifth >> (i + 16)) & 1) << 4));
    }
}

/// 16 bytes with a 4-bit scale (low) and minimum (high) for each group of 16, 64 bytes of bit pairs, f16 `d` and `dmin`.
/// Two halves of 128 elements of 32 bytes each; in a half, element `32 k + l` is pair `k` of byte `l`:
/// `d * scale * q - dmin * min`.
pub(crate) fn q2_k(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(84).zip(out.chunks_exact_mut(256)) {
        let (d, dmin) = (half_at(block, 80), half_at(block, 82));
        for (group, (scale, to)) in block[..16].iter().zip(to.chunks_exact_mut(16)).enumerate() {
            let (scale, min) = (d * (scale & 15) as f32, dmin * (scale >> 4) as f32);
            let (pairs, shift) = pairs_of(group, &block[16..80]);
            for (value, q) in to.iter_mut().zip(pairs) {
                *value = scale * ((q >> shift) & 3) as f32 - min;
            }
        }
    }
}

/// 32 bytes of third bits (bit `k` of byte `l` for element `32 k + l`; not set means 4 less), 64 bytes of bit pairs as in
/// [`q2_k`], 12 bytes of 6-bit scales for 16 groups, f16 `d`: `d * (scale - 32) * q`.
pub(crate) fn q3_k(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(110).zip(out.chunks_exact_mut(256)) {
        let (d, packed) = (half_at(block, 108), &block[96..108]);
        for (group, to) in to.chunks_exact_mut(16).enumerate() {
            let nibble = (packed[group % 8] >> (4 * (group / 8))) & 15;
            let upper = (packed[8 + group % 4] >> (2 * (group / 4))) & 3;
            let scale = d * ((nibble | (upper << 4)) as i32 - 32) as f32;
            let (pairs, shift) = pairs_of(group, &block[32..96]);
            let thirds = &block[group % 2 * 16..][..16];
            for ((value, q), third) in to.iter_mut().zip(pairs).zip(thirds) {
                let q = ((q >> shift) & 3) as i32 - if (third >> (group / 2)) & 1 == 1 { 0 } else { 4 };
                *value = scale * q as f32;
            }
        }
    }
}

/// The 16 bytes that hold a group's bit pairs, and how far up in them.
fn pairs_of(group: usize, packed: &[u8]) -> (&[u8], usize) {
    (&packed[group / 8 * 32 + group % 2 * 16..][..16], group / 2 % 4 * 2)
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

/// As [`q4_k`], with 32 bytes of fifth bits before the nibbles: bit `g` of byte `l` belongs to element `l` of group `g`.
pub(crate) fn q5_k(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(176).zip(out.chunks_exact_mut(256)) {
        let (d, dmin, packed, fifths) = (half_at(block, 0), half_at(block, 2), &block[4..16], &block[16..48]);
        for (group, to) in to.chunks_exact_mut(32).enumerate() {
            let (scale, min) = scale_and_min(group, packed);
            let nibbles = &block[48 + group / 2 * 32..][..32];
            for ((value, q), fifth) in to.iter_mut().zip(nibbles).zip(fifths) {
                let q = ((q >> (4 * (group % 2))) & 15) | (((fifth >> group) & 1) << 4);
                *value = d * scale * q as f32 - dmin * min;
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

/// The numbers that the IQ4 types choose from.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// One f16 scale `d`, then 16 bytes of places in [`IQ4`], nibbles as in [`q4_0`]: `d * IQ4[q]`.
pub(crate) fn iq4_nl(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(18).zip(out.chunks_exact_mut(32)) {
        from_table(half_at(block, 0), &block[2..], to);
    }
}

/// f16 `d`, 8 upper bit pairs, 4 bytes of nibbles: 6-bit scales of 8 groups; then 128 bytes of places in [`IQ4`]:
/// `d * (scale - 32) * IQ4[q]`.
pub(crate) fn iq4_xs(bytes: &[u8], out: &mut [f32]) {
    for (block, to) in bytes.chunks_exact(136).zip(out.chunks_exact_mut(256)) {
        let (d, upper) = (half_at(block, 0), u16::from_le_bytes([block[2], block[3]]));
        for (group, (places, to)) in block[8..].chunks_exact(16).zip(to.chunks_exact_mut(32)).enumerate() {
            let nibble = (block[4 + group / 2] >> (4 * (group % 2))) & 15;
            let scale = nibble as i32 | ((((upper >> (2 * group)) & 3) as i32) << 4);
            from_table(d * (scale - 32) as f32, places, to);
        }
    }
}

fn from_table(scale: f32, places: &[u8], to: &mut [f32]) {
    let (low, high) = to.split_at_mut(16);
    for ((l, h), q) in low.iter_mut().zip(high).zip(places) {
        *l = scale * IQ4[(q & 15) as usize] as f32;
        *h = scale * IQ4[(q >> 4) as usize] as f32;
    }
}
