//! Storage types: how the numbers of a tensor lie in a file. Knows sizes and names, decodes nothing.

use std::fmt;

/// How a tensor's numbers are stored. What a model computes in is another question: see
/// [`decode_f32`](crate::format::decode_f32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE double.
    F64,
    /// IEEE single.
    F32,
    /// IEEE half.
    F16,
    /// The upper half of an IEEE single.
    BF16,
    /// 8 bits, 4 of exponent, 3 of mantissa, no infinity (`e4m3fn`).
    F8E4M3,
    /// 8 bits, 5 of exponent, 2 of mantissa.
    F8E5M2,
    /// As `F8E4M3` with bias 8, no negative zero, one NaN (`e4m3fnuz`).
    F8E4M3Fnuz,
    /// As `F8E5M2` with bias 16, no infinity, no negative zero, one NaN (`e5m2fnuz`).
    F8E5M2Fnuz,
    /// 8 bits of exponent: a power of two (`e8m0`, a scale).
    F8E8M0,
    /// 6 bits, 2 of exponent, 3 of mantissa; four to three bytes.
    F6E2M3,
    /// 6 bits, 3 of exponent, 2 of mantissa; four to three bytes.
    F6E3M2,
    /// 4 bits, two to a byte.
    F4,
    /// A pair of IEEE singles.
    C64,
    /// Signed, 64 bits.
    I64,
    /// Signed, 32 bits.
    I32,
    /// Signed, 16 bits.
    I16,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 64 bits.
    U64,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 8 bits; also the container of packed formats that name no type of their own.
    U8,
    /// One byte, 0 or 1.
    Bool,
    /// GGUF: 32 values of 8 bits and one f16 scale.
    Q8_0,
    /// GGUF: 32 values of 4 bits and one f16 scale.
    Q4_0,
    /// GGUF: 32 values of 4 bits, an f16 scale and an f16 minimum.
    Q4_1,
    /// GGUF: 32 values of 5 bits and one f16 scale.
    Q5_0,
    /// GGUF: 32 values of 5 bits, an f16 scale and an f16 minimum.
    Q5_1,
    /// GGUF: 256 values of 2 bits in 16 groups with 4-bit scales and minima.
    Q2K,
    /// GGUF: 256 values of 3 bits in 16 groups with 6-bit scales.
    Q3K,
    /// GGUF: 256 values of 4 bits in 8 groups with 6-bit scales and minima.
    Q4K,
    /// GGUF: 256 values of 5 bits in 8 groups with 6-bit scales and minima.
    Q5K,
    /// GGUF: 256 values of 6 bits in 16 groups with 8-bit scales.
    Q6K,
    /// GGUF: 32 places of 4 bits in a table of 16 numbers, and one f16 scale.
    Iq4Nl,
    /// GGUF: 256 places of 4 bits in the same table, in 8 groups with 6-bit scales.
    Iq4Xs,
}

/// Name in a safetensors header, elements per block, bytes per block.
const TABLE: [(Dtype, &str, usize, usize); 34] = [
    (Dtype::F64, "F64", 1, 8),
    (Dtype::F32, "F32", 1, 4),
    (Dtype::F16, "F16", 1, 2),
    (Dtype::BF16, "BF16", 1, 2),
    (Dtype::F8E4M3, "F8_E4M3", 1, 1),
    (Dtype::F8E5M2, "F8_E5M2", 1, 1),
    (Dtype::F8E4M3Fnuz, "F8_E4M3FNUZ", 1, 1),
    (Dtype::F8E5M2Fnuz, "F8_E5M2FNUZ", 1, 1),
    (Dtype::F8E8M0, "F8_E8M0", 1, 1),
    (Dtype::F6E2M3, "F6_E2M3", 4, 3),
    (Dtype::F6E3M2, "F6_E3M2", 4, 3),
    (Dtype::F4, "F4", 2, 1),
    (Dtype::C64, "C64", 1, 8),
    (Dtype::I64, "I64", 1, 8),
    (Dtype::I32, "I32", 1, 4),
    (Dtype::I16, "I16", 1, 2),
    (Dtype::I8, "I8", 1, 1),
    (Dtype::U64, "U64", 1, 8),
    (Dtype::U32, "U32", 1, 4),
    (Dtype::U16, "U16", 1, 2),
    (Dtype::U8, "U8", 1, 1),
    (Dtype::Bool, "BOOL", 1, 1),
    (Dtype::Q8_0, "Q8_0", 32, 34),
    (Dtype::Q4_0, "Q4_0", 32, 18),
    (Dtype::Q4_1, "Q4_1", 32, 20),
    (Dtype::Q5_0, "Q5_0", 32, 22),
    (Dtype::Q5_1, "Q5_1", 32, 24),
    (Dtype::Q2K, "Q2_K", 256, 84),
    (Dtype::Q3K, "Q3_K", 256, 110),
    (Dtype::Q4K, "Q4_K", 256, 144),
    (Dtype::Q5K, "Q5_K", 256, 176),
    (Dtype::Q6K, "Q6_K", 256, 210),
    (Dtype::Iq4Nl, "IQ4_NL", 32, 18),
    (Dtype::Iq4Xs, "IQ4_XS", 256, 136),
];

impl Dtype {
    /// The name that files use: `F32`, `BF16`, `F8_E4M3`, `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The type of that name, as a safetensors header writes it. GGUF's block types are not among them.
    pub fn from_safetensors(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == name && row.2 < 32).map(|row| row.0)
    }

    /// Elements per block and bytes per block. `(1, 4)` for F32, `(2, 1)` for F4, `(32, 34)` for Q8_0.
    pub fn block(self) -> (usize, usize) {
        let row = self.row();
        (row.2, row.3)
    }

    /// Bytes that `elements` numbers take, or `None` when they don't fill whole blocks or the size overflows.
    pub fn bytes_for(self, elements: usize) -> Option<usize> {
        let (per_block, bytes) = self.block();
        if !elements.is_multiple_of(per_block) {
            return None;
        }
        (elements / per_block).checked_mul(bytes)
    }

    /// The alignment that a slice of such numbers needs to be read in place.
    pub fn alignment(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 | Self::C64 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            _ => 1,
        }
    }

    fn row(self) -> &'static (Self, &'static str, usize, usize) {
        &TABLE[self as usize]
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_finds_its_own_row() {
        for (dtype, name, ..) in TABLE {
            assert_eq!(dtype.name(), name);
        }
    }

    #[test]
    fn half_a_block_has_no_size() {
        assert_eq!(Dtype::F4.bytes_for(3), None);
        assert_eq!(Dtype::F4.bytes_for(4), Some(2));
        assert_eq!(Dtype::Q4K.bytes_for(512), Some(288));
        assert_eq!(Dtype::F64.bytes_for(usize::MAX), None);
    }
}
