//! Names of saved files: ComfyUI's counter rule, and writing so that no half-written file is ever seen.
//!
//! Knows folders and names. Knows nothing of images: the bytes come from the caller.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::FileError;
use super::folders::{DirKind, Folders};
use super::numbers::{Numbers, next_number};
use super::prefix::{Moment, fill_prefix};

/// How many numbers are tried when others write to the same folder at the same time.
const MAX_CLASHES: u64 = 100_000;

/// Where the files of one save go, and the number of the first.
#[derive(Debug, Clone)]
pub struct SavePath {
    /// The folder, which exists.
    pub folder: PathBuf,
    /// Folder relative to the place's, with `/`; empty for the place itself.
    pub subfolder: String,
    /// The name before the number. May still hold `%batch_num%`.
    pub name: String,
    /// The next free number, at least 1.
    pub counter: u64,
    /// Input, output or temp.
    pub dir: DirKind,
    /// Where the next number is remembered.
    numbers: Option<Numbers>,
}

/// A file that was written, as ComfyUI's clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// The file name without folder.
    pub filename: String,
    /// Folder relative to the place's.
    pub subfolder: String,
    /// Input, output or temp.
    pub dir: DirKind,
    /// The whole path.
    pub path: PathBuf,
}

impl SavePath {
    /// Fills the placeholders of `prefix`, creates its folder inside `dir`, and finds the next number.
    ///
    /// # Errors
    /// [`FileError::Outside`] if the prefix leads out of the place's folder, [`FileError::Io`] if that folder can't
    /// be created or listed.
    pub fn new(
        folders: &Folders,
        dir: DirKind,
        prefix: &str,
        (width, height): (usize, usize),
        moment: Moment,
    ) -> Result<Self, FileError> {
        let root = folders.dir(dir);
        let filled = fill_prefix(prefix, width, height, moment);
        let mut parts = Self::parts(folders, dir, &filled)?;
        let name = parts.pop().unwrap_or_default();
        let subfolder = parts.join("/");
        let folder = root.join(&subfolder);
        std::fs::create_dir_all(&folder).map_err(|e| FileError::io("create the folder", &folder, e))?;
        if !super::folders::really_inside(&folder, root) {
            return Err(outside(prefix, root));
        }
        let numbers = folders.numbers(dir).cloned();
        let counter = match &numbers {
            Some(numbers) => numbers.next(&folder, &name)?,
            None => next_number(&folder, &name)?,
        };
        Ok(Self { folder, subfolder, name, counter, dir, numbers })
    }

    /// Whether `prefix` stays inside `dir`, as far as its words show. Creates nothing.
    ///
    /// # Errors
    /// [`FileError::Outside`].
    pub fn check(folders: &Folders, dir: DirKind, prefix: &str) -> Result<(), FileError> {
        Self::parts(folders, dir, &fill_prefix(prefix, 1, 1, Moment::now())).map(drop)
    }

    fn parts(folders: &Folders, dir: DirKind, filled: &str) -> Result<Vec<String>, FileError> {
        normalised(filled).ok_or_else(|| outside(filled, folders.dir(dir)))
    }

    /// Writes `bytes` as number `batch` of this save: `name_00001_.png` for `ending` = `.png`. Steps on to the next
    /// number if somebody else took this one in the meantime.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder cannot be written; no partial file stays behind.
    pub fn write(&mut self, batch: usize, ending: &str, bytes: &[u8]) -> Result<SavedFile, FileError> {
        self.write_with(batch, ending, &mut |out: &mut dyn Write| out.write_all(bytes))
    }

    /// As [`write`](Self::write), for files that are made piece by piece. `fill` is asked again if somebody else took the
    /// number while it wrote.
    ///
    /// # Errors
    /// [`FileError::Io`] if the folder cannot be written or `fill` fails; no partial file stays behind.
    pub fn write_with(&mut self, batch: usize, ending: &str, fill: &mut Fill<'_>) -> Result<SavedFile, FileError> {
        let name = self.name.replace("%batch_num%", &batch.to_string());
        for _ in 0..MAX_CLASHES {
            let filename = format!("{name}_{:05}_{ending}", self.counter);
            let path = self.folder.join(&filename);
            self.counter += 1;
            if write_new_with(&path, fill)? {
                if let Some(numbers) = &self.numbers {
                    numbers.note(&self.folder, &self.name, self.counter);
                }
                return Ok(SavedFile { filename, subfolder: self.subfolder.clone(), dir: self.dir, path });
            }
        }
        Err(FileError::NumbersUsedUp { name, folder: self.folder.clone() })
    }
}

fn outside(prefix: &str, root: &Path) -> FileError {
    FileError::Outside { name: prefix.to_owned(), folder: root.to_path_buf() }
}

/// Writes a new file: first under a temporary name beside it, then linked to its own. `false` if `path` exists.
///
/// # Errors
/// [`FileError::Io`]; the temporary file is removed.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, FileError> {
    write_new_with(path, &mut |out: &mut dyn Write| out.write_all(bytes))
}

/// Writes a file, in the place of one that has its name: first under a temporary name beside it, then renamed.
///
/// # Errors
/// [`FileError::Io`]; the temporary file is removed, and what had the name stays.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary_name(path);
    let written = std::fs::write(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        FileError::io("write", path, e)
    })
}

/// Writes the contents of a file.
pub(super) type Fill<'a> = dyn FnMut(&mut dyn Write) -> std::io::Result<()> + 'a;

/// As [`write_new`], for files that are made piece by piece.
///
/// # Errors
/// [`FileError::Io`], what `fill` reports too; the temporary file is removed.
pub fn write_new_with(path: &Path, fill: &mut Fill<'_>) -> Result<bool, FileError> {
    if path.exists() {
        return Ok(false);
    }
    let temporary = temporary_name(path);
    let written = std::fs::File::create_new(&temporary)
        .and_then(|file| {
            let mut out = std::io::BufWriter::new(file);
            fill(&mut out)?;
            out.flush()
        })
        .map_err(|e| FileError::io("write", path, e));
    let placed = written.and_then(|()| place_new(&temporary, path));
    if placed.as_ref().is_ok_and(|new| *new) {
        // A link leaves the temporary name behind, a rename doesn't: either way it is gone after this.
        let _ = std::fs::remove_file(&temporary);
        return Ok(true);
    }
    let _ = std::fs::remove_file(&temporary);
    placed
}

/// Gives the finished file its name, unless that name is taken. Hard links refuse to replace a file, renames don't.
fn place_new(temporary: &Path, path: &Path) -> Result<bool, FileError> {
    match std::fs::hard_link(temporary, path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        // A file system without hard links.
        Err(_) if path.exists() => Ok(false),
        Err(_) => std::fs::rename(temporary, path).map(|()| true).map_err(|e| FileError::io("write", path, e)),
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let thread = std::thread::current().id();
    path.with_file_name(format!(".{name}.{}-{thread:?}.part", std::process::id()).replace(['(', ')'], ""))
}

/// The parts of a relative path, `.` and `..` resolved; `None` if it climbs out or is absolute.
fn normalised(path: &str) -> Option<Vec<String>> {
    if Path::new(path).is_absolute() {
        return None;
    }
    let mut parts: Vec<String> = Vec::new();
    for part in path.split(['/', std::path::MAIN_SEPARATOR]) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other.to_owned()),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn a_prefix_cannot_climb_out() {
        assert_eq!(normalised("a/../b/./c").map(|p| p.join("/")), Some("b/c".into()));
        assert_eq!(normalised("../b"), None);
        assert_eq!(normalised("/b"), None);
    }
}
