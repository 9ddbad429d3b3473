//! Model folders by kind: those that were named one by one, and those of YAML files, which are read again when they change.
//!
//! Knows kinds and paths. Looks into no model folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use indexmap::IndexMap;

use super::error::FileError;
use super::extra_paths::{self, ExtraFolder, normal};

/// Where one kind of model is looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelDir {
    pub(super) folders: Vec<PathBuf>,
    /// Single files that appear under a name of their own.
    pub(super) files: IndexMap<String, PathBuf>,
}

impl ModelDir {
    /// Takes a folder in, behind the others or `first`. One that is known moves to the front, or stays where it is.
    fn add(&mut self, folder: PathBuf, first: bool) {
        let wanted = normal(&folder);
        let folder = match self.folders.iter().position(|known| normal(known) == wanted) {
            Some(at) if first => self.folders.remove(at),
            Some(_) => return,
            None => folder,
        };
        let at = if first { 0 } else { self.folders.len() };
        self.folders.insert(at, folder);
    }
}

/// By kind, under the names that ComfyUI has for them today.
pub(super) type Kinds = IndexMap<String, ModelDir>;

/// Something that was named, in the order in which it was.
#[derive(Debug, Clone)]
enum Named {
    Kind(String),
    Folder {
        kind: String,
        folder: PathBuf,
    },
    File {
        kind: String,
        name: String,
        path: PathBuf,
    },
    /// All that a YAML file names.
    Extra(ExtraFile),
}

/// A YAML file, and what it named when it was read.
#[derive(Debug, Clone)]
struct ExtraFile {
    path: PathBuf,
    /// It may be missing; then it names nothing.
    may_miss: bool,
    stamp: Option<Stamp>,
    folders: Vec<ExtraFolder>,
}

/// The time and the length of a file: another one means that it has changed.
type Stamp = (SystemTime, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let file = path.metadata().ok()?;
    Some((file.modified().ok()?, file.len()))
}

impl ExtraFile {
    fn read(&mut self) -> Result<(), FileError> {
        // Taken first: what changes while the file is read is read again.
        self.stamp = stamp(&self.path);
        self.folders = if self.may_miss && !self.path.is_file() { Vec::new() } else { extra_paths::read(&self.path)? };
        Ok(())
    }

    /// Reads the file again if it has changed. What can't be read changes nothing, with a warning.
    fn refresh(&mut self) -> bool {
        if stamp(&self.path) == self.stamp {
            return false;
        }
        let read = self.read();
        if let Err(error) = &read {
            tracing::warn!("model folders stay as they were: {error}");
        }
        read.is_ok()
    }
}

/// Model folders by kind.
#[derive(Debug, Default)]
pub(super) struct ModelDirs(Mutex<State>);

#[derive(Debug, Clone, Default)]
struct State {
    named: Vec<Named>,
    kinds: Arc<Kinds>,
}

impl Clone for ModelDirs {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl ModelDirs {
    /// Knows a kind, without a folder.
    pub(super) fn add_kind(&mut self, kind: &str) {
        self.add(Named::Kind(canonical_kind(kind).to_owned()));
    }

    /// Adds a folder behind those that are known.
    pub(super) fn add_folder(&mut self, kind: &str, folder: PathBuf) {
        self.add(Named::Folder { kind: canonical_kind(kind).to_owned(), folder });
    }

    /// Adds a single file under a name of its own.
    pub(super) fn add_file(&mut self, kind: &str, name: String, path: PathBuf) {
        self.add(Named::File { kind: canonical_kind(kind).to_owned(), name, path });
    }

    /// Adds what a YAML file names, now and after each change of it.
    ///
    /// # Errors
    /// As [`extra_paths::read`]; nothing is added then.
    pub(super) fn add_extra(&mut self, path: &Path, may_miss: bool) -> Result<(), FileError> {
        // Absolute, wherever the process goes later.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let mut file = ExtraFile { path, may_miss, stamp: None, folders: Vec::new() };
        file.read()?;
        self.add(Named::Extra(file));
        Ok(())
    }

    fn add(&mut self, named: Named) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        named.apply(Arc::make_mut(&mut state.kinds));
        state.named.push(named);
    }

    /// The folders as they are named now.
    pub(super) fn kinds(&self) -> Arc<Kinds> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = false;
        for named in &mut state.named {
            if let Named::Extra(file) = named {
                changed |= file.refresh();
            }
        }
        if changed {
            let mut kinds = Kinds::new();
            state.named.iter().for_each(|named| named.apply(&mut kinds));
            state.kinds = kinds.into();
        }
        Arc::clone(&state.kinds)
    }
}

impl Named {
    fn apply(&self, to: &mut Kinds) {
        match self {
            Self::Kind(kind) => _ = of(to, kind),
            Self::Folder { kind, folder } => of(to, kind).add(folder.clone(), false),
            Self::File { kind, name, path } => _ = of(to, kind).files.insert(name.clone(), path.clone()),
            Self::Extra(file) => {
                for extra in &file.folders {
                    of(to, canonical_kind(&extra.kind)).add(extra.folder.clone(), extra.first);
                }
            }
        }
    }
}

fn of<'k>(kinds: &'k mut Kinds, kind: &str) -> &'k mut ModelDir {
    kinds.entry(kind.to_owned()).or_default()
}

/// The name that a kind has today.
pub(super) fn canonical_kind(kind: &str) -> &str {
    match kind {
        "unet" => "diffusion_models",
        "clip" => "text_encoders",
        other => other,
    }
}
