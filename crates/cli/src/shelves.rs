//! The shelves: what model files lie in the folders, what each holds, and what it needs beside itself.
//!
//! Asks headers; reads no weights. What a file is, `kiln_models::Inventory` knows.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use kiln_memory::{human_bytes, open_weights};
use kiln_models::Inventory;
use kiln_nodes::files::Folders;
use serde_json::{Value, json};

/// Longer descriptions are cut.
const LONGEST: usize = 120;

/// The files of some kinds of model.
pub struct Shelves {
    kinds: Vec<(String, Vec<ModelFile>)>,
}

/// A model file.
struct ModelFile {
    name: String,
    path: PathBuf,
    /// Bytes of the file.
    size: u64,
    /// What it holds, or why it can't be used.
    contents: Result<FileContents, String>,
}

/// What a file holds.
struct FileContents {
    /// The family, or what its tensors look like.
    what: String,
    /// How its weights are stored, by their bytes, most first.
    dtypes: Vec<String>,
    /// Its networks, each with the bytes that it takes decoded.
    parts: Vec<(&'static str, u64)>,
    /// What an image needs besides.
    needs: Vec<String>,
}

impl Shelves {
    /// Looks into the files of `kind`, or of every kind where none is named. Kinds without files are left out, unless it is the
    /// one that was named.
    pub fn of(folders: &Folders, kind: Option<&str>) -> Self {
        let kinds = folders.kinds().filter(|known| kind.is_none_or(|kind| kind == known));
        let shelf = |kind: String| {
            let files = folders.models(&kind).into_iter();
            let files = files.filter_map(|name| ModelFile::at(folders.model(&kind, &name).ok()?, name));
            let files: Vec<_> = files.collect();
            (kind, files)
        };
        let all = kinds.map(shelf).filter(|(_, files)| kind.is_some() || !files.is_empty());
        Self { kinds: all.collect() }
    }

    /// Files that can't be used, each with the reason.
    pub fn unusable(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = self.kinds.iter().flat_map(|(_, files)| files);
        files.filter_map(|file| Some((file.path.as_path(), file.contents.as_ref().err()?.as_str())))
    }

    /// How many files there are, and their bytes.
    pub fn total(&self) -> (usize, u64) {
        let files = || self.kinds.iter().flat_map(|(_, files)| files);
        (files().count(), files().map(|file| file.size).sum())
    }

    /// The same for a program that reads: files by kind.
    pub fn to_json(&self) -> Value {
        let rows = |files: &[ModelFile]| files.iter().map(ModelFile::to_json).collect::<Vec<_>>();
        let kinds = self.kinds.iter().map(|(kind, files)| (kind.clone(), Value::from(rows(files))));
        Value::Object(kinds.collect())
    }
}

impl ModelFile {
    fn at(path: PathBuf, name: String) -> Option<Self> {
        let size = std::fs::metadata(&path).ok()?.len();
        let contents = FileContents::of(&path);
        Some(Self { name, path, size, contents })
    }

    fn to_json(&self) -> Value {
        let facts = match &self.contents {
            Ok(c) => {
                let parts = c.parts.iter().map(|(role, decoded)| json!({"role": role, "decoded_bytes": decoded}));
                json!({"holds": c.what, "dtypes": c.dtypes, "parts": parts.collect::<Vec<_>>(), "needs": c.needs})
            }
            Err(error) => json!({ "error": error }),
        };
        let mut row = json!({"name": self.name, "file": self.path.display().to_string(), "bytes": self.size});
        if let (Some(row), Value::Object(facts)) = (row.as_object_mut(), facts) {
            row.extend(facts);
        }
        row
    }
}

impl FileContents {
    fn of(path: &Path) -> Result<Self, String> {
        let dtypes = dtypes(path)?;
        let (what, parts, needs) = match Inventory::of(path) {
            Ok(found) => {
                let parts = found.parts.iter().map(|part| (part.role, part.decoded())).collect();
                let family = found.family.map(|family| family.to_string());
                (family.unwrap_or_else(|| described(path)), parts, found.needs())
            }
            // Not every model is a network by itself.
            Err(_) => (described(path), Vec::new(), Vec::new()),
        };
        Ok(Self { what, dtypes, parts, needs })
    }
}

/// What its tensors look like.
fn described(path: &Path) -> String {
    let words = Inventory::describe(path).unwrap_or_else(|error| error.to_string());
    let cut: String = words.chars().take(LONGEST).collect();
    if cut.len() < words.len() { cut + "…" } else { words }
}

/// Storage types by their bytes, most first.
fn dtypes(path: &Path) -> Result<Vec<String>, String> {
    let source = open_weights(path).map_err(|error| error.to_string())?;
    let mut bytes: BTreeMap<&str, usize> = BTreeMap::new();
    for info in source.names().into_iter().filter_map(|name| source.info(name)) {
        *bytes.entry(info.dtype.name()).or_default() += info.bytes();
    }
    let mut rows: Vec<_> = bytes.into_iter().collect();
    rows.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    // A handful of integers beside the weights says nothing.
    let all: usize = rows.iter().map(|(_, bytes)| bytes).sum();
    rows.retain(|(_, bytes)| bytes * 1000 >= all);
    Ok(rows.into_iter().map(|(name, _)| name.to_owned()).collect())
}

impl fmt::Display for Shelves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (kind, files)) in self.kinds.iter().enumerate() {
            writeln!(f, "{}{kind}", if i == 0 { "" } else { "\n" })?;
            let width = files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0).min(48);
            files.iter().try_for_each(|file| file.row(f, width))?;
        }
        Ok(())
    }
}

impl ModelFile {
    fn row(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        write!(f, "  {:<width$}  {:>10}  ", self.name, human_bytes(self.size))?;
        let contents = match &self.contents {
            Ok(contents) => contents,
            Err(error) => return writeln!(f, "cannot be used: {error}"),
        };
        writeln!(f, "{}, {}", contents.what, contents.dtypes.join(" and "))?;
        if !contents.parts.is_empty() {
            let part = |(role, decoded): &(&str, u64)| format!("{role} {}", human_bytes(*decoded));
            let parts: Vec<String> = contents.parts.iter().map(part).collect();
            writeln!(f, "      decoded: {}", parts.join(", "))?;
        }
        if !contents.needs.is_empty() {
            writeln!(f, "      needs: {}", contents.needs.join(", "))?;
        }
        Ok(())
    }
}
