//! Spilling: how a payload leaves memory for a while and comes back unchanged.
//!
//! A payload offers [`Spillable`]; a [`Spill`] is the place it goes to. Values that are not payloads are small and
//! stay where they are.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::value::Value;

/// Turns bytes back into the value they were written from.
pub type Restore = fn(&mut dyn Read) -> io::Result<Value>;

/// A payload that can be written down and read back.
pub trait Spillable {
    /// Writes everything that [`restore`](Self::restore) needs.
    ///
    /// # Errors
    /// Those of the writer.
    fn spill(&self, to: &mut dyn Write) -> io::Result<()>;

    /// The reader for what [`spill`](Self::spill) writes.
    fn restore(&self) -> Restore;
}

/// A value that went out of memory.
pub trait Spilled: Send {
    /// Brings the value back.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self) -> io::Result<Value>;
}

/// A place that takes values which nobody reads now but which must not be computed twice.
pub trait Spill: Send + Sync {
    /// Stores `value`; `None` when it is of a kind that cannot leave memory.
    ///
    /// # Errors
    /// When it cannot be written.
    fn store(&self, value: &Value) -> io::Result<Option<Box<dyn Spilled>>>;
}

/// Spills into files of a folder. Each file is removed with the last interest in it.
#[derive(Debug)]
pub struct FileSpill {
    folder: PathBuf,
    next: AtomicU64,
}

impl FileSpill {
    /// Uses `folder`, which must exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), next: AtomicU64::new(0) }
    }

    fn next_path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("kiln-spill-{}-{number}.bin", std::process::id()))
    }
}

impl Spill for FileSpill {
    fn store(&self, value: &Value) -> io::Result<Option<Box<dyn Spilled>>> {
        let Value::Object(object) = value else { return Ok(None) };
        let Some(spillable) = object.spillable() else { return Ok(None) };
        let spilled = SpilledFile { path: self.next_path(), restore: spillable.restore() };
        let mut file = BufWriter::new(File::create_new(&spilled.path)?);
        spillable.spill(&mut file)?;
        file.flush()?;
        Ok(Some(Box::new(spilled)))
    }
}

struct SpilledFile {
    path: PathBuf,
    restore: Restore,
}

impl SpilledFile {
    fn path(&self) -> &Path {
        &self.path
    }
}

impl Spilled for SpilledFile {
    fn load(&self) -> io::Result<Value> {
        (self.restore)(&mut BufReader::new(File::open(self.path())?))
    }
}

impl Drop for SpilledFile {
    fn drop(&mut self) {
        // A file that cannot be removed is left to whoever owns the folder; there is nobody to tell here.
        let _ = std::fs::remove_file(&self.path);
    }
}
