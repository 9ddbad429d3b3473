//! The summary: what ran, how long, what it held, and who held the most memory. Text only.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use kiln_memory::{Map, ProcessMemory, Report, human_bytes};

use crate::console::Rows;

/// What a run left to say.
pub struct Summary {
    /// What ran, and what was known from before.
    pub rows: Rows,
    /// From the first node to the last.
    pub wall: Duration,
    /// Who held what at most.
    pub memory: Report,
    /// How the weights of each model fared, where that was asked for.
    pub models: Option<Map>,
    /// What the operating system saw, where it reports that.
    pub process: Option<ProcessMemory>,
    /// Files that were written.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nodes(f)?;
        match &self.models {
            Some(models) => self.everyone(f, models)?,
            None => self.owners(f)?,
        }
        if self.memory.peak > self.memory.limit {
            let more = human_bytes(self.memory.peak - self.memory.limit);
            writeln!(f, "that is {more} more than the limit: computing comes first (a smaller image takes less)")?;
        }
        if let Some(process) = self.process {
            let (anonymous, mapped) = (human_bytes(process.anonymous), human_bytes(process.file_backed));
            writeln!(
                f,
                "process: {} at most; now {anonymous} its own, {mapped} mapped files",
                human_bytes(process.peak)
            )?;
        }
        for file in &self.files {
            writeln!(f, "{}", file.display())?;
        }
        Ok(())
    }
}

impl Summary {
    fn nodes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rows { shown, ran, cached } = &self.rows;
        let width = shown.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(8);
        writeln!(f, "{:<width$}  {:>9}  {:>10}", "node", "time", "holds")?;
        for row in shown {
            let bytes = if row.bytes == 0 { String::new() } else { human_bytes(row.bytes) };
            let again = if row.again { "  (again)" } else { "" };
            writeln!(f, "{:<width$}  {:>9}  {bytes:>10}{again}", row.name, seconds(row.time))?;
        }
        if shown.len() < *ran {
            writeln!(f, "and {} nodes that took less", ran - shown.len())?;
        }
        let mut line = format!("{ran} nodes in {}", seconds(self.wall));
        if *cached > 0 {
            write!(line, ", {cached} known from before")?;
        }
        writeln!(f, "{line}")
    }

    fn owners(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<_> = self.memory.rows.iter().filter(|row| row.peak > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.peak));
        writeln!(f, "peak of {}: {}", self.memory.pool, human_bytes(self.memory.peak))?;
        for row in rows.iter().take(6) {
            writeln!(f, "  {:>10}  {} ({})", human_bytes(row.peak), row.owner, row.kind)?;
        }
        Ok(())
    }
}

impl Summary {
    /// Who holds what and held at most, and what each model's weights moved.
    fn everyone(&self, f: &mut fmt::Formatter<'_>, models: &Map) -> fmt::Result {
        writeln!(f, "\n{}\n", self.memory)?;
        let width = models.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(7);
        let limit = human_bytes(models.limit);
        writeln!(
            f,
            "{:width$}  {:>20}  {:>8}  {:>8}  {:>8}  {:>10}",
            "weights", "here", "hits", "fills", "streams", "decoded"
        )?;
        for row in &models.rows {
            let (here, total, c) = (human_bytes(row.resident), human_bytes(row.total), row.counters);
            let here = format!("{here} of {total}");
            let moved = human_bytes(c.moved());
            writeln!(
                f,
                "{:width$}  {here:>20}  {:>8}  {:>8}  {:>8}  {moved:>10}",
                row.name, c.hits, c.fills, c.streams
            )?;
        }
        writeln!(f, "at most {limit} of weights stay decoded\n")
    }
}

/// `1.24 s`, `12.3 ms`, `840 µs`.
fn seconds(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        m if m < 1e3 => format!("{m:.0} µs"),
        m if m < 1e6 => format!("{:.1} ms", m / 1e3),
        m => format!("{:.2} s", m / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() {
        let shown = [840, 12_345, 1_240_000, 75_000_000].map(|micros| seconds(Duration::from_micros(micros)));
        assert_eq!(shown, ["840 µs", "12.3 ms", "1.24 s", "75.00 s"]);
    }
}
