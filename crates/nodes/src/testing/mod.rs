//! The nodes that ComfyUI's own execution tests use (cargo feature `testing-nodes`), and one that is hungry for memory.
//!
//! Same class names, sockets and behaviour; they exist to be run by that suite, and know nothing of models.

pub mod asynchronous;
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

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use kiln_exec::{ConstantInputs, NodeClass, NodeError, Registry};

use crate::payload::Image;

pub use memory::AllocateVRAM;
pub use mixing::{TestLazyMixImages, TestVariadicAverage};
pub use stubs::{StubImage, StubMask};

/// What these nodes share within one engine: resources in use, and how many run at a time.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    in_use: Mutex<HashSet<String>>,
    running: Mutex<u32>,
}

impl Shared {
    fn resources(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> std::sync::MutexGuard<'_, u32> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Side of the pictures that several of these nodes make.
const SIDE: usize = 512;

/// A white picture of 512 x 512 times `value`.
fn plain(value: f64, device: &burn::tensor::Device) -> Image {
    Image::new(burn::tensor::Tensor::full([1, SIDE, SIDE, 3], value, device))
}

/// Variant types: every declared type is a set, and a link fits if its set is a part of it. `*` fits with everything.
fn variant<N: NodeClass>(known: &ConstantInputs<'_>) -> Result<(), String> {
    let def = N::def();
    for (name, received) in known.received_types() {
        let Some(expected) = def.find_input(name).and_then(|input| input.ty.name()) else { continue };
        let Some(received) = received.name() else { continue };
        let set = |text: &'_ str| text.split(',').map(|part| part.trim().to_owned()).collect::<HashSet<_>>();
        let fits = received == "*" || expected == "*" || set(received).is_subset(&set(expected));
        if !fits {
            return Err(format!("Invalid type of {name}: {received} (expected {expected})"));
        }
    }
    Ok(())
}

/// Two batches of pictures must agree in size; one of them may hold a single picture.
fn same_size(a: &Image, b: &Image) -> Result<(), NodeError> {
    let (first, second) = (a.dims(), b.dims());
    let fits = (0..4).all(|d| first[d] == second[d] || first[d] == 1 || second[d] == 1);
    if fits {
        return Ok(());
    }
    Err(NodeError::new(format!("pictures of shape {first:?} and {second:?} do not fit together")))
}
