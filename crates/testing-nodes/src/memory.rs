//! A node that takes much memory: the hungry step behind loaders whose outputs should be gone by then.

use burn::tensor::Tensor;
use kiln_exec::{Any, Cx, Execute, Node, NodeError, Registry, object};

use kiln_nodes::payload::tensor_bytes;
use kiln_nodes::runtime::CxExt;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<AllocateVRAM>();
}

/// Memory held for nothing.
#[derive(Clone, Debug)]
pub struct Ballast(Tensor<1>);

object!(Ballast, "TENSOR", |b| tensor_bytes(&b.0));

/// Holds so many GiB while its output lives, and passes anything on.
#[derive(Node)]
#[node(
    display_name = "Allocate VRAM",
    category = "Testing/Memory",
    module = "custom_nodes.testing_nodes",
    outputs("anything", "tensor")
)]
pub struct AllocateVRAM {
    /// Passed on as it is.
    anything: Any,
    /// How much to hold, in GiB.
    #[input(default = 1.0, min = 0.0, max = 1024.0, step = 0.001)]
    size: f64,
}

impl Execute for AllocateVRAM {
    type Output = (Any, Ballast);

    fn execute(self, cx: &mut Cx) -> Result<(Any, Ballast), NodeError> {
        if !(0.0..=1024.0).contains(&self.size) {
            return Err(NodeError::new(format!("`size` is {} GiB; it must lie between 0 and 1024", self.size)));
        }
        let count = (self.size * f64::from(1u32 << 30) / 4.0) as usize;
        Ok((self.anything, Ballast(Tensor::zeros([count], cx.environment()?.device()))))
    }
}
