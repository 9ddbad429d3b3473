//! Numbers of saved files: the next free one, by ComfyUI's counter rule.
//!
//! Listing a folder takes the longer the more files it has. In the temp folder, to which only this process writes names of its
//! own, the next number is remembered as long as the folder's time stays what it was after the last write. The output folder
//! is listed each time: the system's clock for folders is too coarse to show a file that somebody put there just now.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::error::FileError;

/// So many names are remembered; then all are forgotten, and found again by listing.
const MOST_NAMES: usize = 256;

/// The next numbers of names in folders. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers(Arc<Mutex<HashMap<(PathBuf, String), Known>>>);

/// A number, and the folder's time when it was right.
#[derive(Debug, Clone, Copy)]
struct Known {
    next: u64,
    at: SystemTime,
}

impl Numbers {
    /// The next number of a name: what is remembered, or one more than the largest in the folder.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder can't be listed.
    pub(super) fn next(&self, folder: &Path, name: &str) -> Result<u64, FileError> {
        let known = self.names().get(&(folder.to_path_buf(), name.to_owned())).copied();
        match known.filter(|known| changed(folder) == Some(known.at)) {
            Some(known) => Ok(known.next),
            None => next_number(folder, name),
        }
    }

    /// Remembers the number that follows a file that was written right now.
    pub(super) fn note(&self, folder: &Path, name: &str, next: u64) {
        let Some(at) = changed(folder) else { return };
        let mut names = self.names();
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert((folder.to_path_buf(), name.to_owned()), Known { next, at });
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<(PathBuf, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When something joined or left the folder; `None` where the system doesn't say.
fn changed(folder: &Path) -> Option<SystemTime> {
    folder.metadata().and_then(|folder| folder.modified()).ok()
}

/// One more than the largest number among files `NAME_<number>_…` of `folder`.
///
/// # Errors
/// [`FileError::Io`] if the folder can't be listed.
pub(super) fn next_number(folder: &Path, name: &str) -> Result<u64, FileError> {
    let entries = std::fs::read_dir(folder).map_err(|e| FileError::io("list the folder", folder, e))?;
    let largest =
        entries.flatten().filter_map(|e| number_of(&e.file_name().to_string_lossy(), name)).max().unwrap_or_default();
    Ok(largest.saturating_add(1))
}

/// The number of a file that begins with `name` and `_`: what stands up to the next `_`, 0 if that's no number.
fn number_of(file: &str, name: &str) -> Option<u64> {
    let rest = file.strip_prefix(name)?.strip_prefix('_')?;
    Some(rest.split('_').next().and_then(|n| n.parse().ok()).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_number_stands_between_the_name_and_the_next_underscore() {
        assert_eq!(number_of("kiln_00041_.png", "kiln"), Some(41));
        assert_eq!(number_of("kiln_new_.png", "kiln"), Some(0));
        assert_eq!(number_of("kiln_7.png", "kiln"), Some(0));
        assert_eq!(number_of("kilns_00041_.png", "kiln"), None);
    }

    #[test]
    fn a_number_is_remembered_until_the_folder_changes() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = Numbers::default();
        numbers.note(folder.path(), "a", 7);
        assert_eq!(numbers.next(folder.path(), "a").unwrap(), 7);
        assert_eq!(numbers.next(folder.path(), "b").unwrap(), 1, "another name is listed");
        std::thread::sleep(Duration::from_millis(30));
        std::fs::write(folder.path().join("a_00041_.png"), "").unwrap();
        assert_eq!(numbers.next(folder.path(), "a").unwrap(), 42);
    }
}
