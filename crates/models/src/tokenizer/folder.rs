//! Embeddings in folders of files, as ComfyUI looks them up.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kiln_memory::{SourceError, TensorSource, WeightFile};

use super::embedding::Embeddings;
use super::encoder::Encoder;

/// Folders that hold embedding files, asked in order.
#[derive(Debug, Clone, Default)]
pub struct EmbeddingFolders {
    folders: Vec<PathBuf>,
}

impl EmbeddingFolders {
    /// Folders to look in.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { folders: folders.into_iter().collect() }
    }

    /// The file of a name: as it is, then with the usual endings, in a folder or in one of those below it. A name can't
    /// leave its folder.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || !inside {
            return None;
        }
        let at = |folder: &Path| {
            let places = ["", ".safetensors", ".pt", ".bin"].map(|ending| folder.join(format!("{name}{ending}")));
            places.into_iter().find(|place| place.is_file())
        };
        let near = self.folders.iter().find_map(|folder| at(folder));
        near.or_else(|| self.folders.iter().flat_map(|folder| below(folder)).find_map(|folder| at(&folder)))
    }
}

/// Folders below a folder, the nearest first and by name. Links are followed, but not back into what was seen.
fn below(folder: &Path) -> Vec<PathBuf> {
    let (mut seen, mut found, mut at) = (HashSet::new(), vec![folder.to_path_buf()], 0);
    seen.extend(folder.canonicalize());
    while let Some(folder) = found.get(at) {
        at += 1;
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut inner: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inner.sort();
        found.extend(
            inner.into_iter().filter(|path| path.is_dir() && path.canonicalize().is_ok_and(|p| seen.insert(p))),
        );
    }
    found.split_off(1)
}

impl Embeddings for EmbeddingFolders {
    fn find(&self, name: &str, encoder: Encoder) -> Option<Vec<Arc<[f32]>>> {
        let path = self.file(name)?;
        read(&path, encoder).unwrap_or_else(|error| {
            tracing::warn!("embedding `{name}` can't be read: {error}");
            None
        })
    }
}

/// The vectors for an encoder in a file; `None` if it holds no tensors.
fn read(path: &Path, encoder: Encoder) -> Result<Option<Vec<Arc<[f32]>>>, SourceError> {
    let file = WeightFile::open(path)?;
    let Some(tensor) = chosen(&file, encoder) else { return Ok(None) };
    let shape = file.get(&tensor).map(|info| info.shape.clone()).unwrap_or_default();
    let mut values = vec![0.0; shape.iter().product()];
    file.read_f32(&tensor, &mut values)?;
    let width = shape.last().copied().unwrap_or(0).max(1);
    Ok(Some(values.chunks_exact(width).map(Arc::from).collect()))
}

/// The tensor that holds the vectors for an encoder.
fn chosen(file: &WeightFile, encoder: Encoder) -> Option<String> {
    let names: Vec<&str> = file.names().collect();
    let own = encoder.embedding_key();
    let has = |wanted: &str| names.iter().find(|name| **name == wanted);
    names
        .iter()
        .find(|name| name.starts_with("string_to_param"))
        .or_else(|| has(own))
        .or_else(|| names.iter().find(|name| name.contains(".string_to_param.")))
        .or_else(|| names.first())
        .map(|name| (*name).to_owned())
}
