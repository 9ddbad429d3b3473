//! Blocking what follows.

use kiln_exec::{Any, ConstantInputs, Cx, Execute, Node, NodeError, OrBlock, Registry};

use crate::common::variant;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestExecutionBlocker>();
}

/// Passes a value on, or blocks whatever depends on it.
#[derive(Node)]
#[node(
    display_name = "Execution Blocker",
    category = "Testing/Flow",
    module = "custom_nodes.testing_nodes",
    outputs("output"),
    validates(types)
)]
pub struct TestExecutionBlocker {
    input: Any,
    block: bool,
    #[input(default = false)]
    verbose: bool,
}

impl Execute for TestExecutionBlocker {
    type Output = OrBlock<Any>;

    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        variant::<Self>(known)
    }

    fn execute(self, _: &mut Cx) -> Result<OrBlock<Any>, NodeError> {
        Ok(match (self.block, self.verbose) {
            (false, _) => OrBlock::Value(self.input),
            (true, true) => OrBlock::with_message("Blocked Execution"),
            (true, false) => OrBlock::silent(),
        })
    }
}
