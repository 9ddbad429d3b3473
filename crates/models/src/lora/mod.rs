//! LoRA and its relatives: small files that change a model's weights.
//!
//! [`keys`](unet_keys) say which weight a prefix in a file means, [`LoraFile`] finds adapters under these prefixes,
//! [`Adapter::apply`] does the arithmetic, and [`Patches`] put it between a file and a network.
//!
//! Facts from ComfyUI `lora.py` and `weight_adapter/`, LyCORIS, and Liu et al. 2024 (DoRA).

mod adapter;
mod array;
mod dora;
mod extract;
mod file;
mod keys;
mod low_rank;
mod mix;
mod orthogonal;
mod patch;
mod thin;

pub use adapter::{Adapter, AdapterError};
pub use array::Array;
pub use extract::{Extraction, extract};
pub use file::{Found, LoraFile, ShapeMismatch, Target};
pub use keys::{Prefixes, text_keys, unet_keys};
pub use mix::Mix;
pub use patch::{Patch, Patches};
