//! An edge of a run, and the numbers of the nodes at its ends. Data alone.

/// A node of a run: an index that is reused once the node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIx(pub u32);

/// What an edge is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The reader waits for it.
    Strong,
    /// The reader may ask for it.
    Lazy,
}

/// One reader of one output.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// The source.
    pub from: NodeIx,
    /// Which of its outputs.
    pub socket: u32,
    /// The reader.
    pub to: NodeIx,
    /// Which of the reader's inputs, in a numbering of the run's own.
    pub input: u32,
    /// Strong or lazy.
    pub usage: Use,
    /// Whether the reader is held up by it right now.
    pub(super) blocking: bool,
}
