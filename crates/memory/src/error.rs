//! What can go wrong with weights, as values. Each names the file, tensor or holder it is about.

use crate::{DecodeError, Report};
use std::path::PathBuf;

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
    #[error("byte 0: this is {found}, not a weight file; a .safetensors or .gguf file is needed here")]
    NotWeights {
        /// What the first bytes look like, with its article.
        found: &'static str,
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
    /// The source failed in a way of its own.
    #[error("tensor `{tensor}`: {what}")]
    Other {
        /// The tensor.
        tensor: String,
        /// Why.
        what: String,
    },
}

/// Why a weight could not be used. A limit is never among the reasons (the weight is streamed then); that the system
/// hasn't even the memory to stream it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The weight was asked for in a shape that it doesn't have.
    #[error("weight `{weight}` has shape {found:?}, {wanted} was asked for")]
    Shape {
        /// The weight.
        weight: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// What was asked for.
        wanted: String,
    },
    /// Its bytes could not be read or decoded.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The device it was to be brought to is gone.
    #[error("weight `{weight}`: {error}")]
    Device {
        /// The weight.
        weight: String,
        /// What the device's driver said.
        error: crate::ProviderError,
    },
    /// The system has no memory for the one slot that a streamed weight needs, after everyone gave way who could.
    #[error("weight `{weight}` has no place to pass through: {error}")]
    NoSlot {
        /// The weight.
        weight: String,
        /// Who holds what.
        error: Box<OutOfMemory>,
    },
    /// Its patches could not be computed.
    #[error("weight `{weight}`: patch {patch}: {what}")]
    Patch {
        /// The weight.
        weight: String,
        /// The patch, by its name.
        patch: String,
        /// Why.
        what: String,
    },
}

/// A reservation that did not fit, with everyone who holds something.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{}: {holder} asked for {} of {kind}, {} of {} are free{}{}",
    report.pool, crate::human_bytes(*asked), crate::human_bytes(report.free()), crate::human_bytes(report.limit), report.top_holders(4), report.remedies(4)
)]
pub struct OutOfMemory {
    /// Who asked.
    pub holder: String,
    /// For what.
    pub kind: crate::Kind,
    /// How many bytes.
    pub asked: u64,
    /// Who held what at that moment.
    pub report: Report,
}
