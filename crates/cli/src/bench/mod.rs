//! A bench: one picture made with a clock beside it. What is asked for, what it took, and PyTorch's times beside them.

mod clock;
mod job;
mod measured;
mod meter;
mod torch;
mod which;

pub use job::BenchError;
pub use measured::Measured;
pub use torch::{Torch, TorchError};
pub use which::Bench;
