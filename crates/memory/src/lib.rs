//! Bytes and who holds them: mapped weight files, budgets, address ranges, paging.
//!
//! ```text
//!  file ──map──▶ TensorSource ──▶ Weights (holder, budget, residency) ──▶ Weight ──read/acquire──▶ numbers
//!                (names, shapes,       │                                             Hit    they were here
//!                 bytes)               ▼                                             Fill   now they are, and stay
//!                                   Budget  who holds how much, of which kind        Stream no room: this use only
//! ```
//!
//! - [`WeightFile`] opens a checkpoint by pointer: a map and its checked header. Broken and foreign files are told by
//!   name and byte.
//! - [`TensorSource`] is "names, shapes and bytes", from a file, from memory ([`MemorySource`]) or from a rule
//!   ([`ComputedSource`]).
//! - [`Weights`] binds a source to a holder and a [`Budget`]; a [`Weight`] is used as f32 and comes straight from the
//!   map where it lies there so. Running short of memory is a placement ([`Acquired::Stream`]), never an error.
//! - With the feature `burn`, `Weight::acquire` gives the weight as a tensor.
//!
//! `README.md` beside this crate says how it works, in two pages and a figure.
//!
//! What this crate must not know: nodes, graphs, models' code.
//!
//! ```
//! use kiln_memory::{Acquired, Budget, Dtype, Kind, MemorySource, Weights};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut source = MemorySource::new("example");
//! source.insert("w", Dtype::F16, &[2], vec![0x00, 0x3c, 0x00, 0x40])?; // 1.0 and 2.0 as halves
//!
//! let host = Budget::new("host", 1 << 20);
//! let weights = Weights::new(source, "unet", &host);
//! let w = weights.weight("w")?;
//! assert_eq!((w.read()?.how(), w.read()?.how()), (Acquired::Fill, Acquired::Hit));
//! assert_eq!(*w.read()?, [1.0, 2.0]);
//! assert!(host.report().used_for(Kind::Weights) >= 8);
//!
//! let short = Budget::new("host", 4);
//! let w = Weights::shared(weights.source().clone(), "unet", &short).weight("w")?;
//! assert_eq!((w.read()?.how(), w.read()?.how()), (Acquired::Stream, Acquired::Stream));
//! # Ok(()) }
//! ```

mod ahead;
mod budget;
mod controls;
mod decode;
mod dtype;
mod error;
mod forecast;
mod format;
mod loading;
mod machine;
mod model;
mod page_lock;
mod pager;
mod patch;
mod pressure_monitor;
mod process;
mod provider;
mod quant;
mod staging;
mod sync;
#[cfg(feature = "burn")]
mod tensor;
mod values;
mod weights;

pub use ahead::Ahead;
pub use budget::{Account, Budget, Kind, Reclaim, Report, Reservation, Row, human_bytes};
pub use controls::{Applied, ControlError, Controls, Placement, VramState};
pub use decode::{DecodeError, Rounding, decode_f32, encode_f32};
pub use dtype::Dtype;
pub use error::{FormatError, MemoryError, MissingTensor, OutOfMemory, Problem, SourceError};
pub use forecast::{Forecast, Outline};
pub use format::{
    ComputedSource, Identity, KeyMap, MappedFile, MemorySource, Outgoing, Reading, RenamedSource, ShardedFile, Slice,
    TensorInfo, TensorRef, TensorShapes, TensorSource, WeightFile, apply_scales, fill_uniform, hash_uniform,
    open_weights, open_weights_by, write_safetensors,
};
pub use loading::{Loaded, to_unload, unload_order};
pub use machine::{available_memory, total_memory};
pub use pager::{
    CaptureRefused, ContentKey, Counters, Frozen, HostPager, Lease, Map, MapRow, Pager, Pin, Policy, Run, Schedule,
    UnitId, Vacant, Vbar,
};
pub use patch::{Patch, PatchSet};
pub use pressure_monitor::PressureMonitor;
pub use process::{ProcessMemory, process_memory, reset_peak};
pub use provider::{
    Arena, ArenaRegion, Call, Delayed, Faulty, HostRegion, HostSegment, HostSegments, HostVm, MemInfo, Provider,
    ProviderError, Segments, Tally, Throttled, Ticket, Write,
};
#[cfg(feature = "burn")]
pub use tensor::WeightGuard;
pub use values::{Acquired, Values};
pub use weights::{Residency, Weight, Weights};
