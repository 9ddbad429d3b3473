//! A checkpoint in several files, with an index that says which tensor is in which. Knows the index; the files are
//! [`WeightFile`]s.

use super::{
    error::{FormatError, Problem, SourceError},
    info::TensorInfo,
    source::TensorSource,
    weight_file::WeightFile,
};
use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Opens whatever holds weights: a safetensors, GGUF or PyTorch file by its contents, or the index of a sharded checkpoint
/// (`*.safetensors.index.json`, `*.bin.index.json`).
///
/// # Errors
/// [`FormatError`], with the file and the byte.
pub fn open_weights(path: impl AsRef<Path>) -> Result<Arc<dyn TensorSource>, FormatError> {
    let path = path.as_ref();
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json")) {
        return Ok(ShardedFile::open(path)?);
    }
    Ok(WeightFile::open(path)?)
}

/// Several weight files under one index. Opening costs the headers of those that the index names.
struct ShardedFile {
    path: PathBuf,
    shards: Vec<Arc<dyn TensorSource>>,
    /// Which shard holds a tensor.
    shard_of: IndexMap<String, usize>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: IndexMap<String, String>,
}

impl ShardedFile {
    /// Reads the index, opens its files and checks that each holds what the index says.
    ///
    /// # Errors
    /// [`FormatError`] of the index or of a shard.
    fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, FormatError> {
        let path = path.as_ref();
        let fail = |problem: Problem| FormatError::new(path, problem);
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.into()))?;
        let index: Index = serde_json::from_str(&text).map_err(|e| fail(broken_index(&text, &e)))?;
        let mut known: HashMap<&str, usize> = HashMap::new();
        let (mut shards, mut shard_of) =
            (Vec::<Arc<dyn TensorSource>>::new(), IndexMap::with_capacity(index.weight_map.len()));
        for (tensor, file) in &index.weight_map {
            let entry = |what| {
                let at = text.find(&format!("{tensor:?}")).unwrap_or(0) as u64;
                fail(Problem::Tensor { at, tensor: tensor.clone(), what })
            };
            let shard = if let Some(shard) = known.get(file.as_str()) {
                *shard
            } else {
                let beside = beside(path, file).ok_or_else(|| entry(format!("`{file}` is not a plain file name")))?;
                shards.push(WeightFile::open(beside)?);
                known.insert(file, shards.len() - 1);
                shards.len() - 1
            };
            if shards[shard].info(tensor).is_none() {
                return Err(entry(format!("the index says it is in {file}, but it isn't")));
            }
            shard_of.insert(tensor.clone(), shard);
        }
        Ok(Arc::new(Self { path: path.to_owned(), shards, shard_of }))
    }

    fn shard(&self, name: &str) -> Option<&dyn TensorSource> {
        self.shard_of.get(name).and_then(|shard| self.shards.get(*shard)).map(Arc::as_ref)
    }
}

fn broken_index(text: &str, error: &serde_json::Error) -> Problem {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = (before + error.column().saturating_sub(1)) as u64;
    Problem::Header { at, what: format!("the index of a sharded checkpoint can't be read: {error}") }
}

/// A file of that name in the index's folder; the index may not point anywhere else.
fn beside(index: &Path, file: &str) -> Option<PathBuf> {
    let plain = Path::new(file).file_name().is_some_and(|name| name == file);
    plain.then(|| index.with_file_name(file))
}

impl TensorSource for ShardedFile {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &self.shards
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn names(&self) -> Vec<&str> {
        self.shard_of.keys().map(String::as_str).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.shard(name).and_then(|shard| shard.info(name))
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        self.shard(name).and_then(|shard| shard.slice(name))
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.shard(name).ok_or_else(|| self.missing(name))?.read_f32(name, out)
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.shard(name).ok_or_else(|| self.missing(name))?.read_part(name, elements, out)
    }

    fn done_with(&self, name: &str) {
        if let Some(shard) = self.shard(name) {
            shard.done_with(name);
        }
    }
}
