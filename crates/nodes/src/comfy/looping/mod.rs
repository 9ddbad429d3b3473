//! Loops: a start and an end, and what lies between them once per iteration.
//!
//! Validation pairs the two (they declare themselves as boundaries). When the start runs it returns a graph of all
//! iterations: copies of the body, each between a `LoopIteration` and a `LoopProgress`, chained by what they depend on;
//! `LoopResult` gives the end its values.

mod body;
mod boundaries;
mod counter;
mod iterations;
mod start;

use kiln_exec::Registry;

pub(super) fn register(registry: &mut Registry) {
    registry.add_dyn(start::node());
    registry.add_dyn(boundaries::end());
    registry.add_dyn(iterations::iteration());
    registry.add_dyn(iterations::progress());
    registry.add_dyn(iterations::result());
}
