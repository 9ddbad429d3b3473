//! What a case reads and what it answers: a folder of reference numbers, and a verdict with two errors.
//!
//! Knows the folder's format (index.json, safetensors, JSON), no model.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    error::Error,
    io::Read,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use indexmap::IndexMap;
use kiln_memory::{Dtype, TensorSource, WeightFile};
use serde::Deserialize;
use serde_json::Value;

/// Anything that keeps a case from being judged; it then counts as failed, with this text.
pub type Trouble = Box<dyn Error + Send + Sync>;

/// Runs every case of one file of the folder.
pub type Run = fn(&Folder, &str) -> Result<Vec<CaseResult>, Trouble>;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Ok,
    Failed,
    /// Not run, and why: an input that isn't in the folder.
    Skipped(String),
    /// Nobody knows this file, or this tensor in it.
    Unknown,
}

/// The verdict on one comparison.
#[derive(Debug, Clone)]
pub struct CaseResult {
    pub name: String,
    /// Largest difference, relative to the largest value of the reference.
    pub max_rel: f64,
    /// Root mean square of the differences, relative to that of the reference.
    pub rms_rel: f64,
    pub tolerance: f64,
    pub status: Status,
    /// What went wrong, in words.
    pub note: String,
}

impl CaseResult {
    /// Compares values within `tolerance` of the reference's largest value. NaN equals NaN.
    pub fn compare(name: impl Into<String>, found: &[f32], expected: &[f32], tolerance: f64) -> Self {
        let name = name.into();
        if found.len() != expected.len() {
            let note = format!("{} values instead of {}", found.len(), expected.len());
            return Self { note, ..Self::verdict(name, f64::INFINITY, f64::INFINITY, tolerance) };
        }
        let (mut worst, mut sum, mut largest, mut energy) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for (a, b) in found.iter().zip(expected) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            let same = a == b || (a.is_nan() && b.is_nan());
            let difference = if same { 0.0 } else { (a - b).abs() };
            worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
            sum += difference * difference;
            if b.is_finite() {
                largest = largest.max(b.abs());
                energy += b * b;
            }
        }
        let relative = |error: f64, of: f64| if error == 0.0 { 0.0 } else { error / of };
        Self::verdict(name, relative(worst, largest), relative(sum.sqrt(), energy.sqrt()), tolerance)
    }

    /// As [`compare`](Self::compare), relative to 1 where all of the reference's values are smaller: the error that the
    /// folders of transformers and of clips state.
    pub fn near(name: impl Into<String>, found: &[f32], expected: &[f32], tolerance: f64) -> Self {
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let plain = Self::compare(name, found, expected, tolerance);
        if largest == 0.0 || largest >= 1.0 || !plain.max_rel.is_finite() {
            return plain;
        }
        let least = f64::from(largest);
        Self::verdict(plain.name, plain.max_rel * least, plain.rms_rel * least, tolerance)
    }

    /// A case that is right or wrong, without a tolerance.
    pub fn exact(name: impl Into<String>, right: bool, note: impl Into<String>) -> Self {
        let error = if right { 0.0 } else { f64::INFINITY };
        let note = if right { String::new() } else { note.into() };
        Self { note, ..Self::verdict(name.into(), error, error, 0.0) }
    }

    /// A case that can't be run with what the folder holds.
    pub fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { status: Status::Skipped(why.into()), ..Self::verdict(name.into(), 0.0, 0.0, 0.0) }
    }

    /// A file or tensor that nobody knows.
    pub fn unknown(name: impl Into<String>) -> Self {
        Self { status: Status::Unknown, ..Self::verdict(name.into(), 0.0, 0.0, 0.0) }
    }

    /// A case that broke.
    pub fn broken(name: impl Into<String>, why: impl ToString) -> Self {
        Self::exact(name, false, why.to_string())
    }

    /// A verdict from errors that were measured elsewhere.
    pub fn verdict(name: String, max_rel: f64, rms_rel: f64, tolerance: f64) -> Self {
        let status = if max_rel <= tolerance { Status::Ok } else { Status::Failed };
        Self { name, max_rel, rms_rel, tolerance, status, note: String::new() }
    }
}

/// What index.json says about a file.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Entry {
    /// What the file holds, in words.
    #[serde(default)]
    pub desc: String,
    /// Parameters of the case: seed, steps, cfg, scheduler, shapes, heads.
    #[serde(default)]
    pub params: Value,
}

impl Entry {
    /// A number among the parameters.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.params.get(key).and_then(Value::as_f64)
    }
}

/// A folder of reference numbers. Files are opened when a case asks for them.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    index: IndexMap<String, Entry>,
    /// What was opened so far: it knows which tensors somebody looked at.
    opened: RefCell<HashMap<String, Tensors>>,
}

impl Folder {
    /// Reads `index.json`.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let at = path.join("index.json");
        let text = std::fs::read_to_string(&at).map_err(|error| format!("{}: {error}", at.display()))?;
        let index = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", at.display()))?;
        Ok(Self { path: path.to_path_buf(), index, opened: RefCell::default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of all files in the index, in its order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// What the index says about a file; nothing, when it is not listed.
    pub fn entry(&self, file: &str) -> Entry {
        self.index.get(file).cloned().unwrap_or_default()
    }

    pub fn json(&self, file: &str) -> Result<Value, Trouble> {
        let at = self.path.join(file);
        let mut bytes = std::fs::read(&at).map_err(|error| format!("{}: {error}", at.display()))?;
        // Lists of full-size models are stored as gzip.
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let packed = std::mem::take(&mut bytes);
            let unpacked = flate2::read::GzDecoder::new(&*packed).read_to_end(&mut bytes);
            unpacked.map_err(|error| format!("{}: {error}", at.display()))?;
        }
        Ok(serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", at.display()))?)
    }

    pub fn tensors(&self, file: &str) -> Result<Tensors, Trouble> {
        if let Some(tensors) = self.opened.borrow().get(file) {
            return Ok(tensors.clone());
        }
        let tensors = Tensors::open(&self.path.join(file))?;
        self.opened.borrow_mut().insert(file.to_owned(), tensors.clone());
        Ok(tensors)
    }

    /// Tensors of an opened file that no case looked at; closes the file.
    pub fn left_over(&self, file: &str) -> Vec<String> {
        let opened = self.opened.borrow_mut().remove(file);
        opened.map(|tensors| tensors.left_over()).unwrap_or_default()
    }
}

/// The tensors of one file. Clones share the account of what was looked at.
#[derive(Debug, Clone)]
pub struct Tensors {
    file: Arc<WeightFile>,
    seen: Rc<RefCell<HashSet<String>>>,
}

impl Tensors {
    /// Opens a file that no index lists.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        Ok(Self { file: WeightFile::open(path)?, seen: Rc::default() })
    }

    /// Notes that a case knows this tensor, even if it can't be compared.
    pub fn note(&self, name: &str) {
        self.seen.borrow_mut().insert(name.to_owned());
    }

    /// Tensors that no case looked at.
    pub fn left_over(&self) -> Vec<String> {
        let seen = self.seen.borrow();
        self.file.names().filter(|name| !seen.contains(*name)).map(str::to_owned).collect()
    }

    pub fn names(&self) -> Vec<&str> {
        self.file.names().collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.file.get(name).is_some()
    }

    pub fn shape(&self, name: &str) -> Result<Vec<usize>, Trouble> {
        Ok(self.file.get(name).ok_or_else(|| self.file.missing(name))?.shape.clone())
    }

    pub fn dtype(&self, name: &str) -> Result<Dtype, Trouble> {
        Ok(self.file.get(name).ok_or_else(|| self.file.missing(name))?.dtype)
    }

    pub fn metadata(&self) -> &IndexMap<String, String> {
        self.file.metadata()
    }

    /// The values of a floating-point tensor, row-major.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, Trouble> {
        self.note(name);
        let mut values = vec![0.0; self.shape(name)?.iter().product()];
        self.file.read_f32(name, &mut values)?;
        Ok(values)
    }

    /// The bytes of a tensor as stored.
    pub fn bytes(&self, name: &str) -> Result<&[u8], Trouble> {
        self.note(name);
        Ok(self.file.bytes(name)?)
    }

    /// The values of an int64 tensor.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, Trouble> {
        let parse = |chunk: &[u8]| chunk.try_into().map(i64::from_le_bytes).unwrap_or_default();
        Ok(self.bytes(name)?.chunks_exact(8).map(parse).collect())
    }
}

/// Runs a judge; a panic is this case's failure and nobody else's.
pub fn guarded(judge: impl FnOnce() -> Result<Vec<CaseResult>, Trouble>) -> Result<Vec<CaseResult>, Trouble> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge));
    caught.unwrap_or_else(|_| Err("panicked (see the message above)".into()))
}
