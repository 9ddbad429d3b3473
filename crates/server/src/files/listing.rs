//! Listings of folders, with what the system knows of each file.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How deep folders are listed; a link that leads back to its parent ends here.
const MAX_DEPTH: usize = 16;

/// A file or a folder below another one.
#[derive(Debug)]
pub(crate) struct Found {
    /// From the folder that was listed, with `/`.
    pub(crate) path: String,
    pub(crate) metadata: Metadata,
}

impl Found {
    /// Seconds since 1970.
    pub(crate) fn modified(&self) -> f64 {
        seconds(self.metadata.modified())
    }

    /// Seconds since 1970; where the system doesn't know, when it was changed.
    pub(crate) fn created(&self) -> f64 {
        seconds(self.metadata.created().or_else(|_| self.metadata.modified()))
    }
}

/// Seconds since 1970.
fn seconds(time: std::io::Result<SystemTime>) -> f64 {
    time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0.0, |since| since.as_secs_f64())
}

/// Everything below `folder`, hidden names left out. Links are followed only where they stay inside.
pub(crate) fn below(folder: &Path, recurse: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let Ok(root) = folder.canonicalize() else { return found };
    let mut todo = vec![(root.clone(), if recurse { MAX_DEPTH } else { 1 })];
    while let Some((dir, depth)) = todo.pop() {
        for path in entries(&dir) {
            let Some((path, metadata)) = inside(path, &root) else { continue };
            if metadata.is_dir() && depth > 1 {
                todo.push((path.clone(), depth - 1));
            }
            if let Ok(relative) = path.strip_prefix(&root) {
                found.push(Found { path: relative.to_string_lossy().replace('\\', "/"), metadata });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b".")).map(|entry| entry.path()).collect()
}

fn inside(path: PathBuf, root: &Path) -> Option<(PathBuf, Metadata)> {
    let metadata = fs::metadata(&path).ok()?;
    path.canonicalize().ok()?.starts_with(root).then_some((path, metadata))
}
