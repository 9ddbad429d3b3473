//! Where weights stay while they are used: address ranges whose pages come and go. Knows bytes, pages and tickets;
//! knows no weights and no policy.

mod arena;
mod contract;
mod host_vm;
mod null;
mod segments;

pub use arena::{Arena, ArenaRegion};
pub use contract::{MemInfo, Provider, ProviderError, Ticket, Write};
pub use host_vm::{HostRegion, HostVm};
pub use null::NullProvider;
pub use segments::{HostSegment, HostSegments, Segments};
