//! The operators that the networks are made of, over burn tensors.
//!
//! Every function checks shapes and element types first and returns an [`OpError`] where burn would panic. Layouts are
//! torch's: images `[batch, channels, height, width]`, tokens `[batch, tokens, width]`, linear weights `[out, in]`.
//!
//! f32 tensors on the CPU go to `kiln-kernels` where its kernels are faster than burn's; everything else, such as a GPU,
//! goes to burn's own operators. The result is the same up to rounding.
//!
//! Knows nothing of models, files or where weights come from.

mod activation;
mod attention;
mod biased;
mod channel_norm;
mod check;
mod conv;
mod error;
mod flat;
pub(crate) mod frequency;
mod linear;
mod norm;
mod resize;
mod rotary;
#[cfg(test)]
mod tests;

pub use activation::{geglu, gelu, gelu_tanh, leaky_relu, quick_gelu, silu, silu_product, swiglu};
pub use attention::{Mask, attention, softmax};
pub use biased::{HIDDEN, biased_attention};
pub use channel_norm::channel_norm;
pub use conv::{Padding, conv2d};
pub use error::OpError;
pub use linear::{linear, linear2};
pub use norm::{add_gated, group_norm, layer_norm, modulated_norm, rms_norm};
pub use resize::{pixel_shuffle, pixel_unshuffle, upsample_nearest};
pub use rotary::{Pairs, Rotary};
