//! A part of a model, or the word that its file has none. Whoever uses it learns that; whoever hands it on does not.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_exec::NodeError;

/// A network, or why there is none.
#[derive(Debug)]
pub(super) enum Part<T: ?Sized> {
    /// There it is.
    There(Arc<T>),
    /// Its file lacks it.
    Missing(Arc<MissingPart>),
}

/// A part that a file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPart {
    /// The file.
    pub file: PathBuf,
    /// What it lacks: `autoencoder`, `text encoder for SD1`.
    pub what: String,
    /// The class that opens one of another file.
    pub loader: &'static str,
}

impl<T: ?Sized> Part<T> {
    /// The network.
    pub(super) fn get(&self) -> Result<&Arc<T>, NodeError> {
        match self {
            Self::There(network) => Ok(network),
            Self::Missing(part) => {
                let MissingPart { file, what, loader } = &**part;
                Err(NodeError::new(format!("{} holds no {what}; load one with {loader}", file.display())))
            }
        }
    }

    /// Whether there is a network.
    pub(super) fn is_there(&self) -> bool {
        matches!(self, Self::There(_))
    }
}

impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        match self {
            Self::There(network) => Self::There(network.clone()),
            Self::Missing(part) => Self::Missing(part.clone()),
        }
    }
}
