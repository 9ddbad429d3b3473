//! CPU kernels in f32 where burn's own are slow: convolution, attention, normalisation, activations.
//!
//! Kernels take slices, sizes and strides. They know no tensors, no models and no files; `kiln-models` hangs them into
//! burn. Each one checks its lengths before it writes anything and returns a [`KernelError`]; nothing here panics on what
//! a caller passes.
//!
//! | kernel | formula | how |
//! |---|---|---|
//! | [`rms_norm`] | `x / sqrt(mean(x²) + eps) · gamma` | sums as the other norms |
//! | [`rotate`] | pairs of a head turned by the row's angles | in place |
//! | [`add_gated`] | `x + gate · y`, a gate per sample | in place |
//! | [`group_norm`], [`layer_norm`] | `(x - mean) / sqrt(variance + eps) · gamma + beta` | moments in one pass over memory, f64 between blocks |
//! | [`silu`], [`gelu`], [`gelu_tanh`], [`quick_gelu`], [`leaky_relu`], [`geglu`], [`swiglu`], [`silu_product`] | one element each | own exponential and error function, a few units in the last place |
//! | [`channel_norm`] | `x / max(‖x‖, 1e-12) · sqrt(channels) · gamma` per place | lengths plane by plane |
//! | [`nearest`] | nearest-neighbour resizing | torch's positions, row by row |
//! | [`softmax`] | `exp(x) / Σ exp(x)` of rows | in place |
//! | [`attention`] | `softmax(q kᵀ / sqrt(d)) v` per head, causal or not | in tiles, the matrix of scores never exists |
//! | [`linear`] | `x · weightᵀ + bias` | weights packed into panels while they are used |
//! | [`conv2d`] | any kernel and stride | as a product with patches gathered into panels |
//! | [`winograd`] | 3x3 convolution, stride 1 | F(4x4, 3x3), weights transformed while they are used |
//!
//! # Instruction sets
//! Every kernel that computes takes an [`Isa`]. [`Isa::best`] finds out at run time what the machine has; [`Isa::PORTABLE`] is plain
//! Rust, runs everywhere and is what the others are tested against. A kernel is written once, over vectors of whatever
//! length, and compiled for each set; `unsafe` lives in the `simd` modules alone.
//!
//! | set | lanes | tile of a product | needs |
//! |---|---|---|---|
//! | `portable` | 8 | 6 x 16 | nothing |
//! | `avx2` | 8 | 6 x 16 | AVX2, FMA |
//! | `avx512` | 16 | 12 x 32 | AVX-512 F, DQ, BW, VL |
//!
//! One kernel is faster on shorter vectors and takes them by itself: [`winograd`] of no more than eight tiles, which
//! would leave half of AVX-512's lanes empty.
//!
//! The environment's `KILN_ISA` takes one of these names, for comparisons.
//!
//! # Threads
//! Work is spread over the current rayon pool. How it is cut never changes an order of summation: one, two and four
//! threads give the same bits. Scratch belongs to the call, so calls may run beside and inside of each other.
//!
//! # Accuracy
//! Against f64, relative to the largest output: 1e-6 for norms, activations and attention, 2e-5 for Winograd's
//! convolution with many hundred channels, 5e-6 with few. NaN and infinity come out where torch lets them out, except
//! that Winograd's tiles share them.
//!
//! ```
//! use kiln_kernels::{Attention, Isa, Strided, attention};
//!
//! // Two queries of width 2 look at three keys; the values are 10, 20 and 30, twice.
//! let q = [5.0, 0.0, 0.0, 5.0];
//! let k = [9.0, 0.0, 0.0, 9.0, -9.0, -9.0];
//! let v = [10.0, 10.0, 20.0, 20.0, 30.0, 30.0];
//! let sizes = Attention { batch: 1, heads: 1, width: 2, queries: 2, keys: 3, causal: false };
//!
//! let mut out = [0.0; 4];
//! attention(
//!     Isa::best(),
//!     sizes,
//!     Strided::dense(&q, 2, 2),
//!     Strided::dense(&k, 3, 2),
//!     Strided::dense(&v, 3, 2),
//!     &mut out,
//! )?;
//! assert_eq!(out.map(f32::round), [10.0, 10.0, 20.0, 20.0]);
//!
//! // What does not fit is refused before anything is written.
//! let short = attention(Isa::best(), sizes, Strided::dense(&q, 2, 2), Strided::dense(&k[1..], 3, 2), Strided::dense(&v, 3, 2), &mut out);
//! assert_eq!(short.unwrap_err().to_string(), "attention: k should be at least 6 elements, found 5 elements");
//! # Ok::<(), kiln_kernels::KernelError>(())
//! ```

mod activation;
mod attention;
mod channel_norm;
mod conv;
mod error;
mod gemm;
mod isa;
mod linear;
mod math;
mod modulate;
mod norm;
mod resize;
mod rotary;
mod scratch;
mod simd;
mod softmax;
mod winograd;

pub use activation::{geglu, gelu, gelu_tanh, leaky_relu, quick_gelu, silu, silu_product, swiglu};
pub use attention::{Attention, Strided, attention};
pub use channel_norm::{ChannelNorm, channel_norm};
pub use conv::{Conv, conv2d};
pub use error::KernelError;
pub use isa::{Isa, IsaError};
pub use linear::linear;
pub use modulate::add_gated;
pub use norm::{GroupNorm, group_norm, layer_norm, rms_norm};
pub use resize::nearest;
pub use rotary::{Angles, Pairs, rotate};
pub use softmax::softmax;
pub use winograd::{Winograd, winograd};
