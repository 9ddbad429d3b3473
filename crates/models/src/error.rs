//! What can go wrong between a file and a network's output: where, what was expected, what was found.

use std::{fmt, path::PathBuf};

use crate::ops::OpError;

/// An error of this crate's networks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Weights could not be read or placed.
    #[error(transparent)]
    Memory(#[from] kiln_memory::MemoryError),
    /// An operator refused its arguments.
    #[error(transparent)]
    Op(#[from] OpError),
    /// A text could not be turned into tokens: an embedding that it names, or the vocabulary.
    #[error(transparent)]
    Text(Box<dyn std::error::Error + Send + Sync>),
    /// Names and shapes don't make up the thing that was asked for.
    #[error("this is not {what} that I know: {detail}")]
    Unrecognised {
        /// What was looked for, with its article.
        what: String,
        /// What is missing or odd.
        detail: String,
    },
    /// A file was recognised as something else than what was asked for.
    #[error("{path}: no {wanted}. Recognised: {recognised}. Missing: {missing}", path = path.display())]
    NotThere {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: &'static str,
        /// What the file holds, in words.
        recognised: String,
        /// What it would need.
        missing: String,
    },
    /// A file has the right kind of names but not the right tensors.
    #[error("{network}: {faults}")]
    Weights {
        /// Which network.
        network: String,
        /// Each wrong tensor.
        faults: TensorMismatches,
    },
    /// A change of weights that belongs to a condition doesn't suit the network.
    #[error(transparent)]
    Hook(Box<dyn std::error::Error + Send + Sync>),
    /// A network made numbers that are none.
    #[error("{network}: its {what} are not numbers (NaN): its file is damaged, or what it was given is")]
    NotFinite {
        /// Which network.
        network: &'static str,
        /// What it made.
        what: &'static str,
    },
    /// A tensor given to a network doesn't fit it.
    #[error("{network}: input `{what}` should be {expected}, found {found:?}")]
    Input {
        /// Which network.
        network: &'static str,
        /// Which of its inputs.
        what: &'static str,
        /// The shape it takes.
        expected: String,
        /// The shape that came.
        found: Vec<usize>,
    },
}

/// One tensor that a network needs and doesn't get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Name in the file; the network's own key when no tensor stands for it.
    pub tensor: String,
    /// The shape the network needs.
    pub expected: Vec<usize>,
    /// The shape in the file, or `None` when the tensor is missing.
    pub found: Option<Vec<usize>>,
}

/// All wrong tensors of one network. Displays the first few.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorMismatches(pub Vec<TensorMismatch>);

impl fmt::Display for TensorMismatches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for (i, fault) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if i == 0 { "" } else { "; " };
            let TensorMismatch { tensor, expected, found } = fault;
            match found {
                None => write!(f, "{comma}tensor `{tensor}` {expected:?} is missing")?,
                Some(found) => write!(f, "{comma}tensor `{tensor}` should be {expected:?}, found {found:?}")?,
            }
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl From<kiln_memory::SourceError> for ModelError {
    fn from(error: kiln_memory::SourceError) -> Self {
        Self::Memory(error.into())
    }
}
