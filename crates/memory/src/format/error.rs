//! What can go wrong between a file and its tensors, as values. Each names the file or tensor it is about.

use super::decode::DecodeError;
use std::{path::PathBuf, time::Duration};

/// A weight file that can't be read, or no longer is what it was.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct FormatError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and at which byte.
    pub problem: Problem,
}

/// What is wrong with a weight file. Offsets count bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file can't be opened, mapped or read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The file is something else.
    #[error("byte 0: this is {found}, not a weight file; a .safetensors, .gguf or PyTorch file is needed here")]
    NotWeights {
        /// What the first bytes look like, with its article.
        found: &'static str,
    },
    /// A pickle asks for a class or function that is no part of a tensor. It was not looked for, let alone called.
    #[error(
        "byte {at}: this Python pickle asks for `{name}`, which is no part of a tensor; no code of a weight file is run \
         (save its tensors alone: torch.save(model.state_dict(), ..), or as .safetensors)"
    )]
    Refused {
        /// Where it asks.
        at: u64,
        /// What for, as `module.name`.
        name: String,
    },
    /// The file ends too early.
    #[error("byte {at}: the file ends here, but {what} needs {needed} bytes up to here (a download that stopped?)")]
    Truncated {
        /// The file's length.
        at: u64,
        /// What should have followed.
        what: String,
        /// The length the file would need.
        needed: u64,
    },
    /// The file goes on after its last tensor.
    #[error("byte {at}: {extra} bytes follow the last tensor and belong to none")]
    TrailingBytes {
        /// Where the last tensor ends.
        at: u64,
        /// How many bytes follow.
        extra: u64,
    },
    /// The header's own bytes can't be read.
    #[error("byte {at}: {what}")]
    Header {
        /// Where.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// An entry of the header contradicts itself, another entry or the file.
    #[error("byte {at}: tensor `{tensor}`: {what}")]
    Tensor {
        /// Where: the entry in the header, or the data it points to.
        at: u64,
        /// The tensor.
        tensor: String,
        /// What is wrong.
        what: String,
    },
    /// The file changed while it was open.
    #[error("the file changed while it was in use ({what}); load it again")]
    Changed {
        /// What is different.
        what: String,
    },
}

impl FormatError {
    pub(crate) fn new(path: impl Into<PathBuf>, problem: impl Into<Problem>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

/// A name that a source doesn't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: there is no tensor `{name}`{}", hint(.closest.as_deref()))]
pub struct MissingTensor {
    /// The name that was asked for.
    pub name: String,
    /// The file or source that was asked.
    pub source_name: String,
    /// The name there that is most like it.
    pub closest: Option<String>,
}

fn hint(closest: Option<&str>) -> String {
    closest.map(|name| format!("; the closest is `{name}`")).unwrap_or_default()
}

impl MissingTensor {
    pub(crate) fn new<'a>(name: &str, source_name: String, known: impl Iterator<Item = &'a str>) -> Self {
        let closest = known
            .map(|other| (common_ends(name, other), other))
            .max_by_key(|(score, other)| (*score, std::cmp::Reverse(other.len())))
            .filter(|(score, _)| *score * 2 >= name.len())
            .map(|(_, other)| other.to_owned());
        Self { name: name.to_owned(), source_name, closest }
    }
}

/// How many bytes two names share at their start and at their end.
fn common_ends(a: &str, b: &str) -> usize {
    let head = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let tail = a.bytes().rev().zip(b.bytes().rev()).take_while(|(x, y)| x == y).count();
    (head + tail).min(a.len().min(b.len()))
}

/// Why bytes of a tensor could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such tensor.
    #[error(transparent)]
    Missing(#[from] MissingTensor),
    /// The file behind it is broken or has changed.
    #[error(transparent)]
    File(#[from] FormatError),
    /// Its bytes can't be turned into f32.
    #[error("tensor `{tensor}`: {error}")]
    Decode {
        /// The tensor.
        tensor: String,
        /// Why.
        error: DecodeError,
    },
    /// The disk below stalled.
    #[error(
        "{}: tensor `{tensor}`: the disk gave nothing for {} s, the read was given up (--read-timeout sets the time, 0 waits \
         for ever)",
        file.display(), after.as_secs_f64()
    )]
    Stalled {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The source failed in a way of its own.
    #[error("tensor `{tensor}`: {what}")]
    Other {
        /// The tensor.
        tensor: String,
        /// Why.
        what: String,
    },
}
