//! Names and bytes: weight files, sources of tensors, storage types. Knows no budget's accounts and no device.
//!
//! Every format, and every way to see one source as another (renamed, scaled), ends in a [`TensorSource`].

mod computed_source;
mod decode;
mod disk;
mod dtype;
mod error;
mod gguf;
mod header;
mod inflate;
mod info;
mod key_map;
mod kind;
mod mapped;
mod memory_source;
mod page_fault;
mod pickle;
mod quant;
mod read_threads;
mod reader;
mod reading;
mod renamed;
mod safetensors;
mod scaled;
mod scattered;
mod shapes;
mod sharded;
mod slow_disk;
mod sniff;
mod source;
mod torch;
mod weight_file;
mod write;

pub use computed_source::{ComputedSource, fill_uniform, hash_uniform};
pub use decode::{DecodeError, Rounding, decode_f32, encode_f32};
pub(crate) use decode::{round, rounding_changes};
pub use dtype::Dtype;
pub use error::{FormatError, MissingTensor, Problem, SourceError};
pub use info::TensorInfo;
pub use key_map::{KeyMap, Slice, TensorRef};
pub use mapped::{Identity, MappedFile};
pub use memory_source::MemorySource;
pub(crate) use reading::READ_TIMEOUT;
pub use reading::Reading;
pub use renamed::RenamedSource;
pub use scaled::apply_scales;
pub use shapes::TensorShapes;
pub use sharded::open_weights;
#[cfg(feature = "testing")]
pub use slow_disk::SlowDisk;
pub use source::TensorSource;
pub use weight_file::WeightFile;
pub use write::{Outgoing, write_safetensors};
