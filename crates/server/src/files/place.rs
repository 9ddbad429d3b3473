//! Places: names from clients, turned into paths that stay inside their folder, links resolved.

use std::path::{Component, Path, PathBuf};

use axum::http::StatusCode;
use kiln_nodes::files::{DirKind, Folders};

use crate::http::answer::Refusal;

/// A file that a client names, as its queries do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    /// May end in ` [input]`, ` [output]` or ` [temp]`, which wins over `kind`.
    pub(crate) filename: &'a str,
    /// `input`, `output` or `temp`.
    pub(crate) kind: &'a str,
    pub(crate) subfolder: &'a str,
}

impl Named<'_> {
    /// The file that is meant, which exists.
    ///
    /// # Errors
    /// 400 for a name that is none or an unknown kind, 403 for a folder outside, 404 without a file.
    pub(crate) fn find(&self, folders: &Folders) -> Result<PathBuf, Refusal> {
        let (name, kind) = annotated(self.filename);
        if name.is_empty() || name.starts_with('/') || name.contains("..") || name.contains('\0') {
            return Err(Refusal::bad());
        }
        let root = folders.dir(DirKind::named(kind.unwrap_or(self.kind)).ok_or_else(Refusal::bad)?);
        let subfolder = inside(self.subfolder).ok_or_else(Refusal::forbidden)?;
        let file = Path::new(name).file_name().ok_or_else(Refusal::bad)?;
        let path = root.join(subfolder).join(file);
        if !path.is_file() {
            return Err(Refusal::missing());
        }
        if really_inside(&path, root) { Ok(path) } else { Err(Refusal::forbidden()) }
    }
}

/// Splits the annotation off.
fn annotated(name: &str) -> (&str, Option<&str>) {
    ["input", "output", "temp"]
        .into_iter()
        .find_map(|kind| Some((name.strip_suffix(&format!("[{kind}]"))?.trim_end(), Some(kind))))
        .unwrap_or((name, None))
}

/// `name` as a relative path without `.` and `..`; `None` if it is absolute or leads out.
pub(crate) fn inside(name: &str) -> Option<PathBuf> {
    if name.contains('\0') {
        return None;
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    Some(path)
}

/// Whether `path`, links resolved, lies in `folder`. Of a path that doesn't exist yet its nearest ancestor is looked at.
pub(crate) fn really_inside(path: &Path, folder: &Path) -> bool {
    let there = path.ancestors().find(|ancestor| ancestor.exists()).and_then(|there| there.canonicalize().ok());
    match (there, folder.canonicalize()) {
        (Some(there), Ok(folder)) => there.starts_with(folder),
        _ => false,
    }
}

/// The folder of a kind, for an upload.
///
/// # Errors
/// 400 for an unknown kind.
pub(crate) fn kind(name: &str) -> Result<DirKind, Refusal> {
    DirKind::named(name).ok_or_else(|| Refusal::Said(StatusCode::BAD_REQUEST, format!("there is no folder `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(inside("a/./b/../c"), Some("a/c".into()));
        assert_eq!(inside(""), Some("".into()));
        for name in ["..", "a/../../b", "/etc", "a\0b"] {
            assert_eq!(inside(name), None, "{name}");
        }
    }

    #[test]
    fn an_annotation_is_split_off() {
        assert_eq!(annotated("a.png [input]"), ("a.png", Some("input")));
        assert_eq!(annotated("a.png[temp]"), ("a.png", Some("temp")));
        assert_eq!(annotated("a [x].png"), ("a [x].png", None));
    }
}
