//! What several testing nodes have in common: their shared state, plain images, checks. Knows no class.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Tensor};
use kiln_exec::{ConstantInputs, NodeClass, NodeError};
use kiln_nodes::Image;

/// What these nodes share within one engine: resources in use, and how many run at a time. A service of its host.
#[derive(Debug, Default)]
pub struct Shared {
    in_use: Mutex<HashSet<String>>,
    running: Mutex<u32>,
}

impl Shared {
    pub(crate) fn resources(&self) -> MutexGuard<'_, HashSet<String>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn running(&self) -> MutexGuard<'_, u32> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Side of the images that several of these nodes make.
pub(crate) const SIDE: usize = 512;

/// A white image of 512 x 512 times `value`.
pub(crate) fn plain(value: f64, device: &Device) -> Image {
    Image::new(Tensor::full([1, SIDE, SIDE, 3], value, device))
}

/// Variant types: every declared type is a set, and a link fits if its set is a part of it. `*` fits with everything.
pub(crate) fn variant<N: NodeClass>(known: &ConstantInputs<'_>) -> Result<(), String> {
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

/// Two batches of images must agree in size; one of them may hold a single image.
pub(crate) fn same_size(a: &Image, b: &Image) -> Result<(), NodeError> {
    let (first, second) = (a.dims(), b.dims());
    let fits = (0..4).all(|d| first[d] == second[d] || first[d] == 1 || second[d] == 1);
    if fits {
        return Ok(());
    }
    Err(NodeError::new(format!("images of shape {first:?} and {second:?} do not fit together")))
}
