//! Bytes and who holds them: mapped weight files, budgets, address ranges, paging.
//!
//! ```text
//!  file ──map──▶ TensorSource ──▶ Weights (owner, budget, residency)  ──▶ Weight ──read/acquire──▶ numbers
//!                (names, shapes,       │                                             Hit    they were here
//!                 bytes)               ▼                                             Fill   now they are, and stay
//!                                   Budget  who holds how much, of which kind        Stream no room: this use only
//! ```
//!
//! - [`WeightFile`] opens a checkpoint by pointer: a map and its checked header. Broken and foreign files are reported by
//!   name and byte.
//! - [`TensorSource`] is "names, shapes and bytes", from a file, from memory ([`MemorySource`]) or from a rule
//!   ([`ComputedSource`]).
//! - [`Weights`] binds a source to an owner and a [`Budget`]; a [`Weight`] is used as f32 and comes straight from the
//!   map where it lies there so. Running short of memory is a placement ([`Acquired::Stream`]), never an error.
//!
//! `README.md` beside this crate says how it works, in two pages and a figure.
//!
//! Below them: [`pager`] decides what stays, over memory that a [`provider`] gives. Whoever brings a device starts there.
//!
//! Wings, lowest first; none imports from one above it: `sync`, `budget`, `format`, `provider`, `pager`, `weights`,
//! `controls`. `testing` (a feature) has the doubles.
//!
//! # Features
//! None is on by default. `burn`: a weight as a burn tensor (`Weight::acquire`); without it, as numbers. `testing`: providers
//! that fail, are late or slow. `shuttle`: threads and locks that try out interleavings, for this crate's own tests.
//!
//! What this crate must not know: nodes, graphs, models' code.
//!
//! # Example
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

mod budget;
mod controls;
mod format;
pub mod pager;
pub mod provider;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod weights;

pub use budget::{
    Account, Budget, Kind, OutOfMemory, PressureMonitor, ProcessMemory, Reclaim, Report, Reservation, Row,
    available_memory, human_bytes, process_memory, total_memory,
};
pub use controls::{Applied, ControlError, Controls, Placement, VramState};
pub use format::{
    ComputedSource, DecodeError, Dtype, FormatError, Identity, KeyMap, MappedFile, MemorySource, MissingTensor,
    Outgoing, Problem, Reading, RenamedSource, Rounding, Slice, SourceError, TensorInfo, TensorRef, TensorShapes,
    TensorSource, WeightFile, apply_scales, decode_f32, encode_f32, fill_uniform, hash_uniform, open_weights,
    write_safetensors,
};
pub use pager::{Counters, Forecast, HostPager, Map, MapRow, Outline, Policy, Run, Schedule};
pub use provider::ProviderError;
#[cfg(feature = "burn")]
pub use weights::WeightGuard;
pub use weights::{Acquired, MemoryError, Patch, PatchSet, Residency, Values, Weight, Weights};
