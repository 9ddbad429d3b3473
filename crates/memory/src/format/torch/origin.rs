//! Where a pickle lies in its file, for messages. Knows no container.

use crate::format::{
    error::Problem,
    pickle::{Fault, Wrong},
};

/// Where a pickle lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Its first byte in the file.
    pub(super) start: u64,
    /// Whether bytes of the pickle are bytes of the file.
    pub(super) plain: bool,
}

impl Origin {
    /// A byte of the pickle as a byte of the file, as near as can be.
    pub(super) fn byte(self, at: usize) -> u64 {
        if self.plain { self.start + at as u64 } else { self.start }
    }

    pub(super) fn problem(self, fault: Fault) -> Problem {
        let at = self.byte(fault.at);
        match fault.what {
            Wrong::Ends(missing) => {
                Problem::Truncated { at, what: "this Python pickle".into(), needed: at.saturating_add(missing as u64) }
            }
            Wrong::AsksFor(name) => Problem::Refused { at, name },
            Wrong::Broken(what) => Problem::Header { at, what: format!("this Python pickle {what}") },
        }
    }
}
