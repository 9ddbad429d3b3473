//! The operators that the networks are made of, over burn tensors.
//!
//! Every function checks shapes and element types first and answers an [`OpError`] where burn would panic. Layouts are
//! torch's: images `[batch, channels, height, width]`, tokens `[batch, tokens, width]`, linear weights `[out, in]`.
//!
//! Knows nothing of models, files or where weights come from.

mod activation;
mod attention;
mod check;
mod conv;
mod error;
mod linear;
mod norm;
mod resize;

pub use activation::{geglu, gelu, leaky_relu, quick_gelu, silu};
pub use attention::{Mask, attention, softmax};
pub use conv::{Padding, conv2d};
pub use error::OpError;
pub use linear::{linear, linear2};
pub use norm::{group_norm, layer_norm};
pub use resize::{pixel_shuffle, upsample_nearest};
