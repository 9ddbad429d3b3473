//! Which format a file has. It is decided by the file's structure as far as it shows at the start, not by a few bytes: any
//! of them may be the length of a safetensors header.

use super::{error::Problem, gguf, header::Header, safetensors, torch};
use std::ops::Range;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Safetensors,
    Gguf,
    /// A zip archive, as torch writes it since 1.6.
    Archive,
    /// Pickles one behind the other, as torch wrote before.
    Pickles,
}

/// How far the header of a format is expected to reach that doesn't say so itself.
const HEADER: usize = 1 << 20;

impl Kind {
    /// The format of `file`, all of the file's bytes. What is none of them is left to the reader of safetensors, which says
    /// what it is.
    pub(crate) fn of(file: &[u8]) -> Self {
        if file.starts_with(gguf::MAGIC) {
            Self::Gguf
        } else if safetensors::begins(file) {
            Self::Safetensors
        } else if file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06") {
            Self::Archive
        } else if torch::begins_legacy(file) {
            Self::Pickles
        } else {
            Self::Safetensors
        }
    }

    /// How far the header may reach, as far as the first bytes say.
    pub(crate) fn header_end(self, file: &[u8]) -> usize {
        if self == Self::Safetensors { safetensors::header_end(file) } else { HEADER }
    }

    /// Reads and checks the header. `soon` is told which bytes elsewhere in the file will be needed next.
    pub(crate) fn parse(self, file: &[u8], soon: &dyn Fn(Range<usize>)) -> Result<Header, Problem> {
        match self {
            Self::Safetensors => safetensors::parse(file),
            Self::Gguf => gguf::parse(file),
            Self::Archive => torch::parse_archive(file, soon),
            Self::Pickles => torch::parse_legacy(file, soon),
        }
    }
}
