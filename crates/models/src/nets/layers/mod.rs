//! The layers networks are made of: weight handles plus the few numbers the weights don't say.
//!
//! A layer acquires its weights when it runs and lets go of them when it is done, so the same code serves weights
//! that stay in memory, are streamed in, or lie in the page cache. Layers know their names' endings and their shapes,
//! never the file.

mod conv;
mod embedder;
mod feed_forward;
mod linear;
mod norm;
mod token;
mod token_table;

pub use conv::Conv2d;
pub use embedder::Embedder;
pub use feed_forward::FeedForward;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm, RmsNorm};
pub use token::Token;
pub use token_table::TokenTable;
