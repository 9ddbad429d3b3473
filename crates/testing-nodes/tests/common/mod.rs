//! An engine with the testing nodes beside ComfyUI's, in a temporary folder.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use kiln_exec::{Engine, Host};
use kiln_nodes::files::{DirKind, Folders};
use kiln_nodes::{Environment, Session};
use tempfile::TempDir;

pub struct Bench {
    pub root: TempDir,
    pub engine: Engine,
}

impl Bench {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folders = Folders::under(root.path());
        Self::in_folders(root, folders)
    }

    /// With the model that comes with the project.
    pub fn with_assets() -> Self {
        let root = tempfile::tempdir().unwrap();
        let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
        let folders = Folders::under(root.path()).with_bundled(assets);
        Self::in_folders(root, folders)
    }

    fn in_folders(root: TempDir, folders: Folders) -> Self {
        let environment = Environment::new(folders);
        let mut registry = kiln_nodes::registry();
        kiln_testing_nodes::register(&mut registry);
        let host = kiln_testing_nodes::lend(Host::new());
        let engine = Session::builder(environment, registry).host(host).build().into_engine();
        Self { root, engine }
    }

    pub fn folder(&self, dir: DirKind) -> PathBuf {
        self.root.path().join(dir.name())
    }

    /// Files in a folder, sorted.
    pub fn files(&self, dir: DirKind) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder(dir)) else { return Vec::new() };
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}
