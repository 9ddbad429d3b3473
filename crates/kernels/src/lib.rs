//! CPU kernels in f32 where burn's own are slow: convolution, attention, normalisation.

mod activation;
mod attention;
mod error;
mod isa;
mod math;
mod norm;
mod simd;
mod softmax;
mod winograd;

pub use activation::{geglu, gelu, leaky_relu, quick_gelu, silu};
pub use attention::{Attention, Strided, attention};
pub use error::KernelError;
pub use isa::Isa;
pub use norm::{GroupNorm, group_norm, layer_norm};
pub use softmax::softmax;
pub use winograd::{Winograd, winograd};
