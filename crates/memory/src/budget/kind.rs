//! What bytes are held for, and who gives way to whom. Knows no numbers.

use std::fmt;

/// What bytes are held for. In the order in which they give way: activations last, and what is no one's to give never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// What costs nothing to have again: idle buffers.
    Cache,
    /// Model weights that stay where they are used.
    Weights,
    /// Results kept because someone may ask for them again.
    Results,
    /// Slots through which streamed weights pass.
    Staging,
    /// What nodes handed on and others still need.
    Outputs,
    /// What a computation holds while it runs.
    Activations,
    /// What the process holds besides: its own program and libraries.
    Process,
}

impl Kind {
    /// What would free bytes of this kind that did not give way by themselves.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Cache | Self::Results => "a smaller cache",
            Self::Weights => "a layer's end (these weights are in use)",
            Self::Staging => "fewer slots (--async-offload 1)",
            Self::Outputs => "fewer results kept at once",
            Self::Activations => "a smaller image or batch",
            Self::Process => "a higher limit (this is the program's own)",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cache => "cache",
            Self::Weights => "weights",
            Self::Results => "results",
            Self::Staging => "staging",
            Self::Outputs => "outputs",
            Self::Activations => "activations",
            Self::Process => "process",
        })
    }
}
