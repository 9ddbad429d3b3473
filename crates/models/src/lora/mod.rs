//! LoRA and its relatives: small files that change a model's weights.
//!
//! [`Prefixes`] say which weight a prefix in a file means, [`LoraFile`] finds adapters under these prefixes,
//! [`Adapter::apply`] does the arithmetic, and a [`Patch`] puts it between a file and a network. Knows no network.
//!
//! Facts from ComfyUI `lora.py` and `weight_adapter/`, LyCORIS, and Liu et al. 2024 (DoRA).

mod adapter;
mod convert;
mod dora;
mod error;
mod file;
mod fit;
mod low_rank;
mod matrix;
mod orthogonal;
mod patch;
mod prefixes;
mod svd;

pub use adapter::Adapter;
pub use error::AdapterError;
pub use file::{Found, LoraFile, ShapeMismatch, Target};
pub use fit::Misfit;
pub use matrix::Matrix;
pub use patch::Patch;
pub use prefixes::{Part, Place, Prefixes};
pub(crate) use svd::LowRankFactors;
