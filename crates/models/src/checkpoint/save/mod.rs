//! Models as files again: what a network's weights are called in a checkpoint, and their bytes one after the other.
//!
//! Weights that nothing changed are copied as their file stores them; changed ones are written as they are used: f32 for
//! networks and autoencoders, f16 for text encoders. So a file that is loaded again computes the same to the last bit.
//!
//! Names are the original ones (LDM, OpenCLIP where a family has it), as in the checkpoints that people exchange.

mod extract;
mod file;
mod names;
mod tensor;

pub use extract::{Extraction, extract};
pub use file::ModelFile;
