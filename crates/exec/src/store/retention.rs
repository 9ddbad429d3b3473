//! Retention: how long an output outlives its last reader.

/// How long outputs live within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// `0`: everything stays to the end of the prompt.
    Keep,
    /// `1`: what nobody refers to when its node finishes goes at once; the rest stays.
    Unreferenced,
    /// `2`: what nothing that may still run can read any more goes. Lazy inputs of pending nodes count as readers.
    #[default]
    Unreadable,
    /// Only nodes that wait for an output count as its readers. A lazy request that comes later runs the node again.
    Eager,
    /// `2` until the first expansion, `0` from then on.
    StaticOnly,
}
