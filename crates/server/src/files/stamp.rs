//! Stamps: whether anything was added to folders or taken away since. Looks at the times of folders, at no file.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use kiln_nodes::files::{DirKind, Folders};

/// How deep folders are looked at.
const MAX_DEPTH: usize = 16;

/// A number that changes with what lies in the folders of models, of inputs and of outputs.
pub(crate) fn of(folders: &Folders) -> u64 {
    let mut hasher = DefaultHasher::new();
    for folder in folders.kinds().flat_map(|kind| folders.model_folders(&kind)) {
        add(&folder, &mut hasher);
    }
    for dir in [DirKind::Input, DirKind::Output] {
        add(folders.dir(dir), &mut hasher);
    }
    hasher.finish()
}

fn add(folder: &Path, hasher: &mut DefaultHasher) {
    let mut todo: Vec<(PathBuf, usize)> = vec![(folder.to_path_buf(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        let Ok(modified) = fs::metadata(&dir).and_then(|metadata| metadata.modified()) else { continue };
        (&dir, modified).hash(hasher);
        if depth == MAX_DEPTH {
            continue;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            // A link may lead to a folder: only then is more asked than the listing itself says.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() || kind.is_symlink() && entry.path().is_dir() {
                todo.push((entry.path(), depth + 1));
            }
        }
    }
}
