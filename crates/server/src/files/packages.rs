//! Python packages with the web page's files: found where Python would look, without asking it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The page's package.
const PAGE: &str = "comfyui_frontend_package";
/// What names of packages with templates begin with.
const TEMPLATES: &str = "comfyui_workflow_templates";
/// The package of help texts.
const HELP: &str = "comfyui_embedded_docs";

/// The web page's files, as far as they are installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// The page.
    pub page: Option<PathBuf>,
    /// Folders of templates.
    pub templates: Vec<PathBuf>,
    /// Help texts.
    pub help: Option<PathBuf>,
}

impl Packages {
    /// Looks into the packages of an active virtual environment, of the `python3` that would be called, and of the user.
    pub fn find() -> Self {
        let called = env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
        let called = called.filter(|folder| folder.join("python3").exists()).take(1);
        let called = called.filter_map(|bin| bin.parent().map(Path::to_path_buf));
        let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        let user = env::var_os("HOME").map(|home| Path::new(&home).join(".local"));
        let usual = [PathBuf::from("/usr/local"), PathBuf::from("/usr")];
        Self::under(active.into_iter().chain(called).chain(user).chain(usual))
    }

    /// Looks below these folders, the first ones first.
    fn under(prefixes: impl Iterator<Item = PathBuf>) -> Self {
        let mut found = Self::default();
        for place in prefixes.flat_map(|prefix| places(&prefix)) {
            let folder = |name: &str, inner: &str| Some(place.join(name).join(inner)).filter(|folder| folder.is_dir());
            found.page = found.page.or_else(|| folder(PAGE, "static"));
            found.help = found.help.or_else(|| folder(HELP, "docs"));
            let names = children(&place).filter(|path| name(path).starts_with(TEMPLATES));
            found.templates.extend(names.map(|path| path.join("templates")).filter(|folder| folder.is_dir()));
        }
        found.templates.sort();
        found.templates.dedup();
        found
    }
}

/// Where the Pythons of a prefix keep packages.
fn places(prefix: &Path) -> Vec<PathBuf> {
    let lib = prefix.join("lib");
    let pythons = children(&lib).filter(|path| name(path).starts_with("python3"));
    pythons.flat_map(|python| [python.join("site-packages"), python.join("dist-packages")]).collect()
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_where_python_keeps_them() {
        let root = tempfile::tempdir().unwrap();
        let packages = root.path().join("lib/python3.12/site-packages");
        for folder in [
            "comfyui_frontend_package/static",
            "comfyui_workflow_templates_core/templates",
            "comfyui_workflow_templates_media_image/templates",
            "other/static",
        ] {
            fs::create_dir_all(packages.join(folder)).unwrap();
        }
        let found = Packages::under(std::iter::once(root.path().to_path_buf()));
        assert_eq!(found.page, Some(packages.join("comfyui_frontend_package/static")));
        assert_eq!(found.templates.len(), 2);
        assert_eq!(found.help, None);
        assert_eq!(Packages::under(std::iter::once("nowhere".into())), Packages::default());
    }
}
