//! Embeddings in folders of files, as ComfyUI looks them up.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kiln_memory::{SourceError, TensorSource, WeightFile};

use super::{Embeddings, Encoder};

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

    /// The file of a name: as it is, then with the usual endings. A name can't leave its folder.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if name.is_empty() || !inside {
            return None;
        }
        let places = self.folders.iter().flat_map(|folder| {
            ["", ".safetensors", ".pt", ".bin"].map(|ending| folder.join(format!("{name}{ending}")))
        });
        let mut places = places;
        places.find(|place| place.is_file())
    }
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
