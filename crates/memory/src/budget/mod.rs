//! Who holds how many bytes of one memory, and how many there may be. Knows names and numbers; allocates nothing.
//!
//! ```text
//!   Budget "host", limit 8 GiB
//!     ├─ Account (unet, weights)        ── Reservation 1.2 GiB
//!     ├─ Account (KSampler "3", output) ── Reservation 64 KiB
//!     └─ Account (vae, activations)     ── Reservation 0.9 GiB
//! ```
//! A [`Reservation`] is the bytes: dropping it gives them back. Counting is atomic; no lock and no look-up by name
//! happens once an [`Account`] exists. What is *not* counted: small things (headers, names, plans), the kernel's page
//! cache, and memory that libraries allocate for themselves.

mod account;
mod kind;
mod machine;
mod out_of_memory;
mod pressure_monitor;
mod process;
mod reclaim;
mod report;

pub use account::{Account, Budget, Reservation};
pub use kind::Kind;
pub use machine::{available_memory, total_memory};
pub use out_of_memory::OutOfMemory;
pub use pressure_monitor::PressureMonitor;
pub use process::{ProcessMemory, process_memory};
pub use reclaim::Reclaim;
pub use report::{Report, Row, human_bytes};
