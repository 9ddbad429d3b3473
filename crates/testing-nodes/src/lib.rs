//! The nodes that ComfyUI's own execution tests use, and one that is hungry for memory.
//!
//! Same class names, sockets and behaviour; they exist to be run by that suite, and know nothing of models. What they share
//! within one engine is a service of its host.
//!
//! ```
//! use kiln_exec::Host;
//! use kiln_nodes::{Environment, Session, files::Folders};
//!
//! # let root = std::env::temp_dir();
//! let mut registry = kiln_nodes::registry();
//! kiln_testing_nodes::register(&mut registry);
//! let environment = Environment::new(Folders::under(root));
//! let session = Session::builder(environment, registry).host(kiln_testing_nodes::lend(Host::new())).build();
//! assert!(session.engine().registry().get("TestWhileLoopOpen").is_some());
//! ```

pub mod asynchronous;
mod common;
pub mod flow;
pub mod lists;
pub mod logic;
pub mod loops;
pub mod memory;
pub mod mixing;
pub mod specific;
pub mod stubs;
mod timer;
pub mod validation;

use kiln_exec::{Host, Registry};

pub use common::Shared;
pub use memory::AllocateVRAM;
pub use mixing::{TestLazyMixImages, TestVariadicAverage};
pub use stubs::{StubImage, StubMask};

/// Adds to `host` what these nodes share within one engine.
pub fn lend(host: Host) -> Host {
    host.with(Shared::default())
}

/// Adds the testing nodes to `registry`.
pub fn register(registry: &mut Registry) {
    stubs::register(registry);
    mixing::register(registry);
    specific::register(registry);
    validation::register(registry);
    flow::register(registry);
    loops::register(registry);
    lists::register(registry);
    logic::register(registry);
    asynchronous::register(registry);
    memory::register(registry);
}
