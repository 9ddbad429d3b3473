//! Bytes and who holds them: mapped weight files, budgets, address ranges, paging.

mod budget;
mod decode;
mod dtype;
mod error;
mod format;
mod process;
mod quant;
mod source;
#[cfg(feature = "burn")]
mod tensor;
mod weights;

pub use budget::{Account, Budget, Kind, Reclaim, Report, Reservation, Row, human_bytes};
pub use decode::{DecodeError, Rounding, decode_f32, encode_f32};
pub use dtype::Dtype;
pub use error::{FormatError, MemoryError, MissingTensor, OutOfMemory, Problem, SourceError};
pub use format::{Identity, MappedFile, TensorInfo, WeightFile};
pub use process::{ProcessMemory, available_memory, process_memory, reset_peak};
pub use source::{ComputedSource, MemorySource, TensorSource, fill_uniform, hash_uniform};
#[cfg(feature = "burn")]
pub use tensor::WeightGuard;
pub use weights::{Acquired, Residency, Values, Weight, Weights};
