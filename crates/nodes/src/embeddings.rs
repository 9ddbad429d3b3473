//! Textual inversions: `embedding:name` in a prompt, looked up in the folder `embeddings`.
//!
//! Knows files and names; what the vectors mean is the text encoder's business.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_memory::{TensorSource, WeightFile};
use kiln_models::tokenizer::{Embeddings, Encoder};

use crate::files::Folders;

/// Endings tried after the name as it is.
const ENDINGS: [&str; 2] = ["", ".safetensors"];

/// The embeddings of an installation.
pub(crate) struct FileEmbeddings<'a>(pub(crate) &'a Folders);

impl FileEmbeddings<'_> {
    fn file(&self, name: &str) -> Option<PathBuf> {
        ENDINGS.iter().find_map(|ending| self.0.model("embeddings", &format!("{name}{ending}")).ok())
    }
}

impl Embeddings for FileEmbeddings<'_> {
    fn find(&self, name: &str, encoder: Encoder) -> Option<Vec<Arc<[f32]>>> {
        let path = self.file(name)?;
        match vectors(&path, encoder) {
            Ok(vectors) => Some(vectors),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "an embedding that cannot be read");
                None
            }
        }
    }
}

/// The rows of the tensor meant for `encoder`: the one under its key, else the first.
fn vectors(path: &PathBuf, encoder: Encoder) -> Result<Vec<Arc<[f32]>>, kiln_memory::SourceError> {
    let file = WeightFile::open(path)?;
    let key = encoder.embedding_key();
    let name = file.get(key).map(|_| key).or_else(|| file.names().next()).map(str::to_owned);
    let Some((name, info)) = name.and_then(|name| Some((name.clone(), file.get(&name)?.clone()))) else {
        return Ok(Vec::new());
    };
    let mut values = vec![0.0; info.elements()];
    file.read_f32(&name, &mut values)?;
    let width = info.shape.last().copied().unwrap_or(0).max(1);
    Ok(values.chunks_exact(width).map(Arc::from).collect())
}
