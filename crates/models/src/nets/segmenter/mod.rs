//! Promptable segmenters: EfficientSAM, in every width and depth.
//!
//! An image is encoded once ([`Segmenter::encode`]); points and boxes then each get masks of it ([`Segmenter::masks`]) for a
//! hundredth of that work.
//!
//! Source: Xiong et al. 2023 (EfficientSAM), whose decoder is Kirillov et al. 2023's (Segment Anything) with changes that
//! stand where they are made. SAM and SAM 2.1 are recognised and refused by name: their image encoders would stand beside
//! `encoder.rs`, the rest serves them too.

mod attention;
mod block;
mod config;
mod decoder;
mod encoder;
mod keys;
mod mlp;
mod model;
mod position;
mod prompt;
mod transformer;

pub use config::SegmenterConfig;
pub use encoder::ImageEmbedding;
pub(crate) use keys::canonical;
pub use model::{MaskScores, Segmenter};
pub use prompt::{Label, Prompt};
