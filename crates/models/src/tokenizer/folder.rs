//! Embeddings in folders of files, as ComfyUI looks them up.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kiln_memory::{SourceError, TensorSource, WeightFile};

use super::embedding::{Embeddings, Found};
use super::encoder::Encoder;
use super::error::TokenizerError;

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
    fn find(&self, name: &str, encoder: Encoder) -> Result<Found, TokenizerError> {
        let Some(path) = self.file(name) else { return Ok(None) };
        let vectors =
            read(&path, encoder).map_err(|error| TokenizerError::Embedding { name: name.to_owned(), error })?;
        if vectors.is_empty() {
            return Err(TokenizerError::NoVectors { name: name.to_owned(), path });
        }
        Ok(Some(vectors))
    }
}

/// The vectors for an encoder in a file.
fn read(path: &Path, encoder: Encoder) -> Result<Vec<Arc<[f32]>>, SourceError> {
    let file = WeightFile::open(path)?;
    let mut vectors = Vec::new();
    for tensor in chosen(&file.names().collect::<Vec<_>>(), encoder) {
        let Some(info) = file.get(tensor) else { continue };
        let mut values = vec![0.0; info.elements()];
        file.read_f32(tensor, &mut values)?;
        let width = info.shape.last().copied().unwrap_or(1).max(1);
        vectors.extend(values.chunks_exact(width).map(Arc::from));
    }
    Ok(vectors)
}

/// The tensors that hold the vectors for an encoder, in ComfyUI's order of preference: those that training programs keep
/// under `string_to_param`, all of a list of dicts, the encoder's own, those that are bundled with a LoRA, the first.
fn chosen<'a>(names: &[&'a str], encoder: Encoder) -> Vec<&'a str> {
    let first = |is: &dyn Fn(&str) -> bool| names.iter().copied().find(|name| is(name)).map(|name| vec![name]);
    let all = |is: &dyn Fn(&str) -> bool| names.iter().copied().filter(|name| is(name)).collect::<Vec<_>>();
    let some = |found: Vec<&'a str>| (!found.is_empty()).then_some(found);
    first(&|name| name.starts_with("string_to_param"))
        .or_else(|| names.iter().all(|name| is_in_list(name)).then(|| names.to_vec()))
        .or_else(|| first(&|name| name == encoder.embedding_key()))
        .or_else(|| some(all(&|name| name.starts_with("bundle_emb.") && name.contains(".string_to_param."))))
        .or_else(|| first(&|name| name.contains(".string_to_param.")))
        .or_else(|| names.first().map(|name| vec![*name]))
        .unwrap_or_default()
}

/// Whether a name is that of an entry of a dict in a list.
fn is_in_list(name: &str) -> bool {
    let number = |place: &str| !place.is_empty() && place.bytes().all(|digit| digit.is_ascii_digit());
    name.split_once('.').is_some_and(|(place, _)| number(place))
}
