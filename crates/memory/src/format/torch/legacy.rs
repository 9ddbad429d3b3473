//! The form of a PyTorch file of before 1.6: five pickles (a magic number, a version, the writer's system, the objects, the
//! keys of the storages), then each storage as its count of numbers (i64) and its bytes, little-endian whatever wrote it.
//! Knows no zip archive; reads no tensor.

use super::{
    origin::Origin,
    places::{Place, Storages, header},
    tensor::{Storage, name, storage},
};
use crate::format::{
    error::Problem,
    header::Header,
    pickle::{self, Object, Pickle, Value},
};
use std::{collections::HashMap, ops::Range};

/// torch's magic number, 0x1950a86a20f9469cfc6c, lowest byte first.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version there ever was.
const VERSION: i64 = 1001;

/// Whether a file begins as a pickle does: with the number of a protocol and an opcode, or as protocol 0 names a class.
pub(crate) fn begins(file: &[u8]) -> bool {
    match file {
        [0x80, 1..=5, op, ..] => {
            matches!(op, 0x80..=0x98 | b'(' | b')' | b']' | b'}' | b'0'..=b'2' | b'A'..=b'Z' | b'a'..=b'z' | b'.')
        }
        [b'c', rest @ ..] => names_a_class(rest),
        _ => false,
    }
}

/// Two lines, each a dotted name.
fn names_a_class(text: &[u8]) -> bool {
    let mut lines = text[..text.len().min(256)].split_inclusive(|byte| *byte == b'\n');
    let is_name = |line: &[u8]| {
        let name = line.strip_suffix(b"\n").unwrap_or_default();
        !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
    };
    let mut next = || lines.next().is_some_and(is_name);
    next() && next()
}

/// Reads `file`, all of the file's bytes. `soon` is told which of them will be needed next.
pub(crate) fn parse(file: &[u8], soon: &dyn Fn(Range<usize>)) -> Result<Header, Problem> {
    let mut at = 0;
    let magic = next(file, &mut at)?;
    if magic.bytes(magic.root()) != Some(&MAGIC) {
        return Err(Problem::NotWeights { found: "a Python pickle that torch.save() did not write" });
    }
    let version_at = at as u64;
    let version = next(file, &mut at)?;
    if version.root() != Value::Int(VERSION) {
        let what = format!("the version of this PyTorch file is {:?}; {VERSION} is known", version.root());
        return Err(Problem::Header { at: version_at, what });
    }
    next(file, &mut at)?;
    let origin = Origin { start: at as u64, plain: true };
    let objects = next(file, &mut at)?;
    let keys_at = at as u64;
    let keys = next(file, &mut at)?;
    let storages =
        Stream::new(file, &objects, &keys, at, soon).map_err(|what| Problem::Header { at: keys_at, what })?;
    storages.check()?;
    header(&objects, origin, &storages)
}

fn next<'a>(file: &'a [u8], at: &mut usize) -> Result<Pickle<'a>, Problem> {
    let origin = Origin { start: *at as u64, plain: true };
    let (pickle, len) = pickle::read(&file[*at..]).map_err(|fault| origin.problem(fault))?;
    *at += len;
    Ok(pickle)
}

/// Storages in their order, each behind its count.
struct Stream<'a> {
    file: &'a [u8],
    /// Key, count of numbers, bytes.
    storages: HashMap<String, (usize, Range<usize>)>,
}

impl<'a> Stream<'a> {
    fn new(
        file: &'a [u8],
        objects: &Pickle<'_>,
        keys: &Pickle<'_>,
        start: usize,
        soon: &dyn Fn(Range<usize>),
    ) -> Result<Self, String> {
        let known = known(objects)?;
        let order = keys.sequence(keys.root()).ok_or("the keys of the storages are no list")?;
        let (mut storages, mut at) = (HashMap::with_capacity(order.len()), start);
        for key in order {
            let key = name(keys, *key).ok_or("the key of a storage is no name")?.into_owned();
            let storage = known.get(&key).ok_or_else(|| format!("nothing uses the storage {key}"))?;
            let bytes = storage.count.checked_mul(storage.dtype.block().1);
            let end = bytes.and_then(|bytes| at.checked_add(8)?.checked_add(bytes));
            let end = end.ok_or_else(|| format!("the storage {key} is impossibly large"))?;
            soon(at..at.saturating_add(8));
            if storages.insert(key.clone(), (storage.count, at + 8..end)).is_some() {
                return Err(format!("the storage {key} occurs twice"));
            }
            at = end;
        }
        Ok(Self { file, storages })
    }

    /// Whether each storage is there, as long as the pickle says.
    fn check(&self) -> Result<(), Problem> {
        for (key, (count, range)) in &self.storages {
            let written = self.file.get(range.start - 8..range.start).and_then(|bytes| bytes.first_chunk::<8>());
            if range.end > self.file.len() || written.is_none() {
                let (at, needed) = (self.file.len() as u64, range.end as u64);
                return Err(Problem::Truncated { at, what: format!("storage {key}"), needed });
            }
            let written = written.map_or(0, |bytes| i64::from_le_bytes(*bytes));
            if usize::try_from(written) != Ok(*count) {
                let what = format!("storage {key} has {written} numbers here, and {count} in the pickle");
                return Err(Problem::Header { at: range.start as u64 - 8, what });
            }
        }
        Ok(())
    }
}

/// All storages that a pickle names.
fn known(objects: &Pickle<'_>) -> Result<HashMap<String, Storage>, String> {
    let mut known: HashMap<String, Storage> = HashMap::new();
    for object in objects.objects() {
        let Object::Persistent(key) = object else { continue };
        let storage = storage(objects, *key).map_err(|what| format!("a tensor {what}"))?;
        if let Some(other) = known.get(&storage.key)
            && (other.count, other.dtype) != (storage.count, storage.dtype)
        {
            return Err(format!("the storage {} is described in two ways", storage.key));
        }
        known.insert(storage.key.clone(), storage);
    }
    Ok(known)
}

impl Storages for Stream<'_> {
    fn expect(&self, _: &mut dyn Iterator<Item = &Storage>) {}

    fn place(&self, storage: &Storage) -> Result<Place, String> {
        let place = self.storages.get(&storage.key).map(|(_, range)| Place { range: range.clone(), inflated: None });
        place.ok_or_else(|| format!("the file doesn't list its storage {}", storage.key))
    }

    fn swapped(&self) -> bool {
        false
    }

    fn file_len(&self) -> usize {
        self.file.len()
    }
}
