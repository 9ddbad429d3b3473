//! f32 lanes, for each instruction set: the only vocabulary that kernels are written in.
//!
//! A [`Simd`] value is a token: who holds one may use its instructions. Tokens of sets that a machine may lack are made
//! by detection only, so kernels themselves need no `unsafe`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod instructions;
mod lanes;
mod portable;
mod tile;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use lanes::{Kernel, LINE, MOST_LANES, Shape, Simd, four};
pub(crate) use portable::Portable;
pub(crate) use tile::{Ahead, MOST_ROWS, Tile, by_rows, tile, zeros};
