//! The workspace on disk: its root, its packages, their Rust files.

use crate::modules::Sources;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folders of the workspace's packages, from its root; the facade's is empty.
///
/// # Errors
/// The root has no folder `crates`.
pub fn packages(root: &Path) -> Result<Vec<String>, String> {
    let crates = root.join("crates");
    let entries = std::fs::read_dir(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    let names = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file());
    let mut folders: Vec<String> =
        names.map(|entry| format!("crates/{}", entry.file_name().to_string_lossy())).collect();
    folders.extend([String::new(), "xtask".to_owned()]);
    folders.sort();
    Ok(folders)
}

/// What cargo says of the workspace's packages.
///
/// # Errors
/// Cargo does not start, or returns something that is not its metadata.
pub fn metadata() -> Result<serde_json::Value, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo metadata does not start: {error}"))?;
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}

/// The Rust files of a package, without its tests.
///
/// # Errors
/// A file cannot be read.
pub fn sources(root: &Path, package: &str) -> Result<Sources, String> {
    let mut files = Vec::new();
    for folder in ["src", "examples", "benches"] {
        rust_files(&root.join(package).join(folder), &mut files);
    }
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        Ok((name, text))
    };
    files.into_iter().map(read).collect()
}

/// The Rust files below a folder.
pub(crate) fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.ends_with("target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
