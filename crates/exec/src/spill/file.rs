//! Spilling into files: one per output, removed with the last interest in it. The only place here that knows a file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::{CodecError, Codecs, weight};
use crate::spill::place::{Spill, Spilled};
use crate::value::Values;

/// Lists of fewer bytes stay in memory: a file would cost more than it saves.
const WORTH_A_FILE: u64 = 4096;

/// Spills into files of a folder: plain values of every kind, and payloads that have a codec. Each file is removed with
/// the last interest in it: an output's at the latest when its run ends, however that is; a kept result's when the cache
/// lets go of it. It cannot outlive the process, unless that is killed.
///
/// A folder that cannot be written, or is full, is no error of a run: what was to go there stays in memory.
#[derive(Debug)]
pub struct FileSpill {
    folder: PathBuf,
    at_least: u64,
    next: AtomicU64,
}

impl FileSpill {
    /// Uses `folder`, which must exist. Outputs of fewer than 4096 bytes stay in memory.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), at_least: WORTH_A_FILE, next: AtomicU64::new(0) }
    }

    /// With another size from which on an output is worth a file, in bytes.
    pub fn at_least(mut self, bytes: u64) -> Self {
        self.at_least = bytes;
        self
    }

    fn next_path(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Several of these may share a folder.
        let whose = std::ptr::from_ref(self).addr();
        self.folder.join(format!("kiln-spill-{}-{whose:x}-{number}.bin", std::process::id()))
    }
}

impl Spill for FileSpill {
    fn store(&self, values: &Values, codecs: &Codecs) -> Result<Option<Box<dyn Spilled>>, CodecError> {
        if weight(values) < self.at_least || !codecs.cover(values) {
            return Ok(None);
        }
        let path = self.next_path();
        let file = File::create_new(&path)?;
        // From here on the file goes, whatever happens.
        let spilled = SpilledFile { path, codecs: codecs.clone() };
        let mut file = BufWriter::new(file);
        codecs.write(values, &mut file)?;
        file.flush()?;
        Ok(Some(Box::new(spilled)))
    }
}

struct SpilledFile {
    path: PathBuf,
    codecs: Codecs,
}

impl Spilled for SpilledFile {
    fn load(&self) -> Result<Values, CodecError> {
        let file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        self.codecs.read(&mut BufReader::new(file), length)
    }
}

impl Drop for SpilledFile {
    fn drop(&mut self) {
        // A file that cannot be removed is left to whoever owns the folder; there is nobody to tell here.
        let _ = std::fs::remove_file(&self.path);
    }
}
