//! From storage types to f32. Knows bytes and bits; knows no files and no tensors.
//!
//! Every value that an f16, bf16 or fp8 can hold is exact in f32, so decoding rounds only where the
//! storage type is wider than f32 (F64, I64, U64, I32, U32).

use super::{dtype::Dtype, quant};
use half::{bf16, f16, slice::HalfFloatSliceExt};

/// Why bytes could not become f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The number of bytes doesn't belong to the number of elements.
    #[error("{dtype}: {elements} numbers are not {bytes} bytes")]
    Length {
        /// The storage type.
        dtype: Dtype,
        /// Elements of the destination.
        elements: usize,
        /// Bytes of the source.
        bytes: usize,
    },
    /// The type has no single number per element that f32 could hold.
    #[error("{0} can't be read as f32")]
    Unsupported(Dtype),
}

/// How a decoded number is rounded before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// To the nearest f16 and back: what text encoders are held in, whatever their file says.
    F16,
    /// To the nearest number of 4 bits of exponent and 3 of mantissa, as torch rounds: above 448 there is only NaN.
    F8E4M3,
    /// To the nearest number of 5 bits of exponent and 2 of mantissa, as torch rounds: above 57344 there is infinity.
    F8E5M2,
}

/// Decodes little-endian `bytes` of type `dtype` into `out`, one f32 per element.
///
/// # Errors
/// [`DecodeError::Length`] when sizes disagree, [`DecodeError::Unsupported`] for C64, F4 and the F6 types.
pub fn decode_f32(dtype: Dtype, bytes: &[u8], out: &mut [f32]) -> Result<(), DecodeError> {
    if dtype.bytes_for(out.len()) != Some(bytes.len()) {
        return Err(DecodeError::Length { dtype, elements: out.len(), bytes: bytes.len() });
    }
    match dtype {
        Dtype::F32 => copy_f32(bytes, out),
        Dtype::F16 => decode_f16(bytes, out),
        Dtype::BF16 => each(bytes, out, |b| f32::from_bits((u16::from_le_bytes(b) as u32) << 16)),
        Dtype::F8E4M3 => by_table(&E4M3, bytes, out),
        Dtype::F8E5M2 => by_table(&E5M2, bytes, out),
        Dtype::F8E4M3Fnuz => by_table(&E4M3_FNUZ, bytes, out),
        Dtype::F8E5M2Fnuz => by_table(&E5M2_FNUZ, bytes, out),
        Dtype::F8E8M0 => by_table(&E8M0, bytes, out),
        Dtype::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        Dtype::I64 => each(bytes, out, |b| i64::from_le_bytes(b) as f32),
        Dtype::U64 => each(bytes, out, |b| u64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
        Dtype::U32 => each(bytes, out, |b| u32::from_le_bytes(b) as f32),
        Dtype::I16 => each(bytes, out, |b| i16::from_le_bytes(b) as f32),
        Dtype::U16 => each(bytes, out, |b| u16::from_le_bytes(b) as f32),
        Dtype::I8 => each(bytes, out, |[b]: [u8; 1]| b as i8 as f32),
        Dtype::U8 => each(bytes, out, |[b]: [u8; 1]| b as f32),
        Dtype::Bool => each(bytes, out, |[b]: [u8; 1]| f32::from(u8::from(b != 0))),
        Dtype::Q8_0 => quant::q8_0(bytes, out),
        Dtype::Q4_0 => quant::q4_0(bytes, out),
        Dtype::Q4_1 => quant::q4_1(bytes, out),
        Dtype::Q5_0 => quant::q5_0(bytes, out),
        Dtype::Q5_1 => quant::q5_1(bytes, out),
        Dtype::Q2K => quant::q2_k(bytes, out),
        Dtype::Q3K => quant::q3_k(bytes, out),
        Dtype::Q4K => quant::q4_k(bytes, out),
        Dtype::Q5K => quant::q5_k(bytes, out),
        Dtype::Q6K => quant::q6_k(bytes, out),
        Dtype::Iq4Nl => quant::iq4_nl(bytes, out),
        Dtype::Iq4Xs => quant::iq4_xs(bytes, out),
        Dtype::C64 | Dtype::F4 | Dtype::F6E2M3 | Dtype::F6E3M2 => return Err(DecodeError::Unsupported(dtype)),
    }
    Ok(())
}

/// Whether rounding could change a number of this storage type at all.
pub(crate) fn rounding_changes(dtype: Dtype, rounding: Option<Rounding>) -> bool {
    match rounding {
        None => false,
        Some(Rounding::F16) => !matches!(dtype, Dtype::F16 | Dtype::F8E4M3 | Dtype::F8E5M2 | Dtype::Bool),
        // Narrow numbers may have a scale beside them, which the type doesn't show.
        Some(Rounding::F8E4M3 | Rounding::F8E5M2) => dtype != Dtype::Bool,
    }
}

/// Rounds numbers in place.
pub(crate) fn round(rounding: Rounding, values: &mut [f32]) {
    match rounding {
        Rounding::F16 => round_f16(values),
        Rounding::F8E4M3 => values.iter_mut().for_each(|v| *v = narrowed(*v, 3, -6, 448.0, f32::NAN)),
        Rounding::F8E5M2 => values.iter_mut().for_each(|v| *v = narrowed(*v, 2, -14, 57344.0, f32::INFINITY)),
    }
}

/// The nearest number with so many bits of mantissa and that least exponent, ties to even; `beyond` above `largest`.
fn narrowed(value: f32, mantissa: i32, least: i32, largest: f32, beyond: f32) -> f32 {
    if !value.is_finite() {
        return if value.is_nan() { value } else { beyond.copysign(value) };
    }
    let exponent = (((value.to_bits() >> 23) & 0xff) as i32 - 127).max(least);
    // Powers of two: both products are exact.
    let step = 2f32.powi(exponent - mantissa);
    let rounded = (value / step).round_ties_even() * step;
    if rounded.abs() > largest { beyond.copysign(value) } else { rounded }
}

fn round_f16(values: &mut [f32]) {
    let mut narrow = [f16::ZERO; 512];
    for chunk in values.chunks_mut(narrow.len()) {
        let narrow = &mut narrow[..chunk.len()];
        narrow.convert_from_f32_slice(chunk);
        narrow.convert_to_f32_slice(chunk);
    }
}

/// Encodes f32 as `dtype`, rounding to nearest even: what a file of that type would have held.
///
/// # Errors
/// [`DecodeError::Unsupported`] for anything but F32, F16 and BF16.
pub fn encode_f32(dtype: Dtype, values: &[f32]) -> Result<Vec<u8>, DecodeError> {
    match dtype {
        Dtype::F32 => Ok(bytes_of(values, f32::to_le_bytes)),
        Dtype::F16 => Ok(bytes_of(values, |v| f16::from_f32(v).to_le_bytes())),
        Dtype::BF16 => Ok(bytes_of(values, |v| bf16::from_f32(v).to_le_bytes())),
        other => Err(DecodeError::Unsupported(other)),
    }
}

fn bytes_of<const N: usize>(values: &[f32], encode: impl Fn(f32) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|v| encode(*v)).collect()
}

fn copy_f32(bytes: &[u8], out: &mut [f32]) {
    if cfg!(target_endian = "little") {
        bytemuck::cast_slice_mut::<f32, u8>(out).copy_from_slice(bytes);
    } else {
        each(bytes, out, f32::from_le_bytes);
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn([u8; N]) -> f32) {
    let (chunks, _) = bytes.as_chunks::<N>();
    for (to, from) in out.iter_mut().zip(chunks) {
        *to = decode(*from);
    }
}

/// `half` converts slices with the processor's own instruction where there is one. Bytes at an odd address, or of
/// the other endianness, go through a small buffer.
fn decode_f16(bytes: &[u8], out: &mut [f32]) {
    if cfg!(target_endian = "little")
        && let Ok(halves) = bytemuck::try_cast_slice::<u8, f16>(bytes)
    {
        return halves.convert_to_f32_slice(out);
    }
    let mut buffer = [f16::ZERO; 512];
    for (from, to) in bytes.chunks(buffer.len() * 2).zip(out.chunks_mut(buffer.len())) {
        let (pairs, _) = from.as_chunks::<2>();
        for (half, pair) in buffer.iter_mut().zip(pairs) {
            *half = f16::from_le_bytes(*pair);
        }
        buffer[..to.len()].convert_to_f32_slice(to);
    }
}

fn by_table(table: &[f32; 256], bytes: &[u8], out: &mut [f32]) {
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = table[*from as usize];
    }
}

static E4M3: [f32; 256] = e4m3_table();
static E5M2: [f32; 256] = e5m2_table();
static E4M3_FNUZ: [f32; 256] = fnuz_table(3, 8);
static E5M2_FNUZ: [f32; 256] = fnuz_table(2, 16);
static E8M0: [f32; 256] = e8m0_table();

/// S.EEEE.MMM, bias 7; 0x7F and 0xFF are the only NaN, there is no infinity (OCP 8-bit floating point, 2023).
const fn e4m3_table() -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = if i & 0x7f == 0x7f { f32::NAN } else { small_float(i as u32, 3, 7) };
        i += 1;
    }
    table
}

/// S.EEEEE.MM, bias 15; infinities and NaN as in IEEE.
const fn e5m2_table() -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i & 0x7f {
            0x7c => f32::from_bits(0x7f80_0000 | ((i as u32 & 0x80) << 24)),
            n if n > 0x7c => f32::NAN,
            _ => small_float(i as u32, 2, 15),
        };
        i += 1;
    }
    table
}

/// No infinity, and 0x80 is the only NaN (the FNUZ variants of the same paper's formats).
const fn fnuz_table(mantissa: u32, bias: i32) -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = if i == 0x80 { f32::NAN } else { small_float(i as u32, mantissa, bias) };
        i += 1;
    }
    table
}

/// 2^(E - 127), 255 is NaN (OCP microscaling formats, 2023).
const fn e8m0_table() -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = match i as u32 {
            0 => f32::from_bits(0x0040_0000),
            255 => f32::NAN,
            e => f32::from_bits(e << 23),
        };
        i += 1;
    }
    table
}

/// A finite number of `8 - 1 - mantissa` exponent bits, built without rounding.
const fn small_float(byte: u32, mantissa: u32, bias: i32) -> f32 {
    let sign = if byte & 0x80 != 0 { -1.0 } else { 1.0 };
    let (exponent, fraction) = ((byte & 0x7f) >> mantissa, byte & ((1 << mantissa) - 1));
    let (significand, power) = match exponent {
        0 => (fraction, 1 - bias - mantissa as i32),
        e => (fraction + (1 << mantissa), e as i32 - bias - mantissa as i32),
    };
    sign * significand as f32 * f32::from_bits(((power + 127) as u32) << 23)
}
