//! Stored files: uploads that replace nothing unasked, and writes that nobody sees half done.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use kiln_nodes::files::write_new;
use tempfile::NamedTempFile;

/// So many names are tried for a file whose own is taken.
const MOST_NAMES: u32 = 100_000;

/// Writes a file, in the place of one that may be there.
///
/// # Errors
/// The system's; then nothing has changed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::with_prefix_in(".kiln-", folder)?;
    file.write_all(bytes)?;
    // Made for its owner alone; what others may do is what the folder's files usually let them.
    #[cfg(unix)]
    if let Ok(before) = fs::metadata(path) {
        file.as_file().set_permissions(before.permissions())?;
    } else {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes an upload under its name, or where that is taken under `name (1)`, `name (2)`, …; nothing at all when one of
/// those is the same file. Returns the name.
///
/// # Errors
/// The system's.
pub(crate) fn add(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<String> {
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    for number in 0..MOST_NAMES {
        let name = if number == 0 { name.to_owned() } else { format!("{stem} ({number}){ending}") };
        let path = folder.join(&name);
        if write_new(&path, bytes).map_err(io::Error::other)? || is(&path, bytes) {
            return Ok(name);
        }
    }
    Err(io::Error::other(format!("every name like {name} is taken")))
}

/// Whether a file holds exactly these bytes.
fn is(path: &Path, bytes: &[u8]) -> bool {
    let same = || -> io::Result<bool> {
        let mut file = fs::File::open(path)?;
        if file.metadata()?.len() != bytes.len() as u64 {
            return Ok(false);
        }
        let (mut rest, mut piece) = (bytes, vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut piece)?;
            match rest.split_at_checked(read) {
                Some((expected, after)) if read > 0 && *expected == piece[..read] => rest = after,
                _ => return Ok(read == 0 && rest.is_empty()),
            }
        }
    };
    same().unwrap_or_default()
}

/// Where an upload goes: its folder, made where it is missing, and its bare name.
///
/// `None` when the name leads out, or names a folder that is missing.
pub(crate) fn target(root: &Path, subfolder: &str, name: &str) -> Option<(PathBuf, String)> {
    let folder = root.join(super::place::inside(subfolder)?);
    let name = super::place::inside(name.trim_start_matches(['/', '\\']))?;
    let file = name.file_name()?.to_str()?.to_owned();
    fs::create_dir_all(root).ok()?;
    if !super::place::really_inside(&folder, root) {
        return None;
    }
    fs::create_dir_all(&folder).ok()?;
    let folder = match name.parent() {
        Some(parent) if parent != Path::new("") => folder.join(parent),
        _ => folder,
    };
    let there = folder.is_dir() && super::place::really_inside(&folder, root);
    let file_inside = !folder.join(&file).exists() || super::place::really_inside(&folder.join(&file), root);
    (there && file_inside).then_some((folder, file))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_never_takes_a_name_and_the_same_file_is_stored_once() {
        let root = tempfile::tempdir().unwrap();
        let add = |bytes: &[u8]| add(root.path(), "a.png", bytes).unwrap();
        assert_eq!(add(b"one"), "a.png");
        assert_eq!(add(b"one"), "a.png");
        assert_eq!(add(b"two"), "a (1).png");
        assert_eq!(add(b"three"), "a (2).png");
        assert_eq!(add(b"two"), "a (1).png");
        replace(&root.path().join("a.png"), b"new").unwrap();
        assert_eq!(fs::read(root.path().join("a.png")).unwrap(), b"new");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_upload_stays_in_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let target = |subfolder, name| target(root.path(), subfolder, name).map(|(_, name)| name);
        assert_eq!(target("a/b", "/c.png").as_deref(), Some("c.png"));
        assert!(root.path().join("a/b").is_dir());
        assert_eq!(target("", "a/d.png").as_deref(), Some("d.png"));
        for (subfolder, name) in [("..", "a.png"), ("", "../a.png"), ("", "missing/a.png"), ("", ""), ("/etc", "a")] {
            assert_eq!(target(subfolder, name), None, "{subfolder} {name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("/", root.path().join("out")).unwrap();
            assert_eq!(target("out", "a.png"), None);
        }
    }
}
