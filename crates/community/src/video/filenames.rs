//! `VHS_FILENAMES`: the files of a save, and numbers that no file of a folder has yet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::object;

/// The files that a save wrote, and whether they are to stay.
#[derive(Clone, Debug)]
pub(crate) struct Filenames {
    /// Whether they lie in the output folder.
    pub(crate) kept: bool,
    /// Their whole paths, the still image first.
    pub(crate) files: Arc<Vec<PathBuf>>,
}

object!(Filenames, "VHS_FILENAMES", |names| {
    names.files.iter().map(|file| file.as_os_str().len() as u64).sum::<u64>() + u64::from(names.kept)
});

/// One more than the largest number among files `NAME_<number>….…` of `folder`, capitals or not, at least 1.
pub(crate) fn next_number(folder: &Path, name: &str) -> std::io::Result<u64> {
    let files = std::fs::read_dir(folder)?.flatten();
    let largest = files.filter_map(|file| number_of(&file.file_name().to_string_lossy(), name)).max();
    Ok(largest.unwrap_or_default().saturating_add(1))
}

/// The number of a file that begins with `name`, `_` and digits, and has no other digits before its last part begins.
fn number_of(file: &str, name: &str) -> Option<u64> {
    let (file, name) = (file.to_lowercase(), name.to_lowercase());
    let rest = file.strip_prefix(&name)?.strip_prefix('_')?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, tail) = rest.split_at(digits);
    // A point with something behind it, and no digit before that point.
    let point = tail.find('.').filter(|point| point + 1 < tail.len())?;
    let is_plain = !tail[..point].contains(|c: char| c.is_ascii_digit());
    number.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn the_number_stands_behind_the_name() {
        assert_eq!(number_of("moving_00041.gif", "moving"), Some(41));
        assert_eq!(number_of("Moving_00041-audio.mp4", "moving"), Some(41));
        assert_eq!(number_of("moving_00041_.png", "moving"), Some(41));
        assert_eq!(number_of("moving_00041_2.png", "moving"), None);
        assert_eq!(number_of("moving_00041.", "moving"), None);
        assert_eq!(number_of("moving_new.png", "moving"), None);
        assert_eq!(number_of("moved_1.png", "moving"), None);
    }
}
