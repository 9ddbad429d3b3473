//! Who holds what of one memory, as figures and as a table for people. Knows numbers; counts nothing.

use super::kind::Kind;
use std::{
    fmt::{self, Write as _},
    sync::Arc,
};

/// One line of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Who holds.
    pub owner: Arc<str>,
    /// For what.
    pub kind: Kind,
    /// How much now.
    pub used: u64,
    /// How much at most.
    pub peak: u64,
}

/// Who holds what of one memory. Displays as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The memory's name.
    pub pool: String,
    /// How much there may be.
    pub limit: u64,
    /// How much is held.
    pub used: u64,
    /// The most that was held at once.
    pub peak: u64,
    /// The owners, largest first.
    pub rows: Vec<Row>,
}

impl Report {
    /// How much is left.
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// The largest owners in a sentence, empty when nobody holds anything.
    pub fn top_owners(&self, n: usize) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|r| r.used > 0).take(n) {
            let lead = if text.is_empty() { "; held by " } else { ", " };
            _ = write!(text, "{lead}{} ({}, {})", row.owner, row.kind, human_bytes(row.used));
        }
        text
    }

    /// What would free the bytes of the largest owners, a clause per kind; empty when nobody holds anything.
    pub fn remedies(&self, n: usize) -> String {
        let mut kinds: Vec<Kind> = self.rows.iter().filter(|r| r.used > 0).take(n).map(|r| r.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let clauses: Vec<&str> = kinds.into_iter().map(Kind::remedy).collect();
        if clauses.is_empty() { String::new() } else { format!("; to free some: {}", clauses.join(", ")) }
    }

    /// Bytes held for one kind of thing.
    pub fn used_for(&self, kind: Kind) -> u64 {
        self.rows.iter().filter(|r| r.kind == kind).map(|r| r.used).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|r| r.owner.chars().count()).max().unwrap_or(0).max(6);
        writeln!(f, "{:width$}  {:11}  {:>10}  {:>10}", self.pool, "", "now", "peak")?;
        for r in &self.rows {
            let (used, peak) = (human_bytes(r.used), human_bytes(r.peak));
            writeln!(f, "{:width$}  {:11}  {used:>10}  {peak:>10}", r.owner, r.kind)?;
        }
        let (used, peak) = (human_bytes(self.used), human_bytes(self.peak));
        write!(f, "{:width$}  {:11}  {used:>10}  {peak:>10}", "total", "")?;
        if self.limit < u64::MAX {
            write!(f, "  of {}", human_bytes(self.limit))?;
        }
        Ok(())
    }
}

/// A number of bytes as people read it: `512 B`, `1.5 GiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes == u64::MAX {
        return "unlimited".into();
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}
