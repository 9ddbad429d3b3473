//! A GGUF header: untrusted bytes in, checked tensor ranges out. Knows no file and no map.
//!
//! Layout (little-endian, versions 2 and 3): magic, version, counts of tensors and of key-value pairs, the pairs, one
//! entry per tensor (name, dimensions innermost first, type, offset), padding to `general.alignment` (32 if absent),
//! data.

use super::{dtype::Dtype, error::Problem, header::Header, info::TensorInfo};
use indexmap::IndexMap;

/// The first four bytes of every GGUF file.
pub(crate) const MAGIC: &[u8; 4] = b"GGUF";

/// Values of an array kept in the metadata's text; longer arrays (vocabularies) are given by their length.
const SHOWN: u64 = 16;

/// Reads the header at the start of `file`, all of the file's bytes.
pub(crate) fn parse(file: &[u8]) -> Result<Header, Problem> {
    let mut at = Cursor { file, at: 4 };
    let version = at.u32("the version")?;
    if !(2..=3).contains(&version) {
        let what = format!("GGUF version {version} (2 and 3 are known; other-endian files are not)");
        return Err(Problem::Header { at: 4, what });
    }
    let tensors = at.count("tensors", 24)?;
    let pairs = at.count("key-value pairs", 13)?;
    let mut metadata = IndexMap::new();
    for _ in 0..pairs {
        let key = at.text("a key")?;
        let kind = at.u32("a value's type")?;
        let value = at.value(kind, 0)?;
        metadata.insert(key, value);
    }
    let entries = (0..tensors).map(|_| Entry::read(&mut at)).collect::<Result<Vec<_>, _>>()?;
    let alignment = alignment(&metadata)?;
    let data_start = at.at.next_multiple_of(alignment);
    let mut found = IndexMap::with_capacity(entries.len());
    for entry in entries {
        let (header_at, name) = (entry.at, entry.name.clone());
        let problem = |what| Problem::Tensor { at: header_at as u64, tensor: name.clone(), what };
        let info = entry.check(data_start, alignment, file.len(), &metadata).map_err(problem)?;
        if found.insert(name.clone(), info).is_some() {
            return Err(problem("the name occurs twice".into()));
        }
    }
    check_overlap(&found)?;
    Ok(Header { tensors: found, metadata, ..Header::default() })
}

fn alignment(metadata: &IndexMap<String, String>) -> Result<usize, Problem> {
    let Some(text) = metadata.get("general.alignment") else { return Ok(32) };
    match text.parse::<usize>() {
        Ok(n) if n.is_power_of_two() && n <= 1 << 20 => Ok(n),
        _ => {
            Err(Problem::Header { at: 24, what: format!("general.alignment is {text}, not a power of two up to 2^20") })
        }
    }
}

/// Padding between tensors is fine, sharing bytes is not.
fn check_overlap(tensors: &IndexMap<String, TensorInfo>) -> Result<(), Problem> {
    let mut by_offset: Vec<_> = tensors.iter().filter(|(_, info)| !info.range.is_empty()).collect();
    by_offset.sort_by_key(|(_, info)| info.range.start);
    for pair in by_offset.windows(2) {
        let [(before, first), (name, second)] = pair else { continue };
        if second.range.start < first.range.end {
            let what = format!("its data starts inside {before}, which ends at byte {}", first.range.end);
            return Err(Problem::Tensor { at: second.range.start as u64, tensor: (*name).clone(), what });
        }
    }
    Ok(())
}

/// One tensor as the header writes it.
struct Entry {
    at: usize,
    name: String,
    /// Outermost first, as everywhere else.
    shape: Vec<usize>,
    kind: u32,
    offset: u64,
}

impl Entry {
    fn read(at: &mut Cursor<'_>) -> Result<Self, Problem> {
        let start = at.at;
        let name = at.text("a tensor's name")?;
        let rank = at.u32("a tensor's number of dimensions")?;
        if rank > 8 {
            let what = format!("{rank} dimensions");
            return Err(Problem::Tensor { at: start as u64, tensor: name, what });
        }
        let mut shape = (0..rank).map(|_| at.u64("a dimension").map(|d| d as usize)).collect::<Result<Vec<_>, _>>()?;
        shape.reverse();
        let kind = at.u32("a tensor's type")?;
        let offset = at.u64("a tensor's offset")?;
        Ok(Self { at: start, name, shape, kind, offset })
    }

    fn check(
        self,
        data_start: usize,
        alignment: usize,
        file_end: usize,
        metadata: &IndexMap<String, String>,
    ) -> Result<TensorInfo, String> {
        let dtype = dtype(self.kind)?;
        let row = self.shape.last().copied().unwrap_or(1);
        if !row.is_multiple_of(dtype.block().0) {
            return Err(format!("rows of {row} are no whole blocks of {dtype}"));
        }
        let elements = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let bytes = elements.and_then(|n| dtype.bytes_for(n)).ok_or("impossibly large")?;
        let offset = usize::try_from(self.offset).ok().filter(|o| o.is_multiple_of(alignment));
        let offset = offset.ok_or_else(|| format!("offset {} is not a multiple of {alignment}", self.offset))?;
        let start = data_start.checked_add(offset).ok_or("offset too large")?;
        let end = start.checked_add(bytes).ok_or("offset too large")?;
        if end > file_end {
            return Err(format!("its data ends at byte {end} of a file of {file_end} (truncated?)"));
        }
        let shape = original_shape(&self.name, metadata, elements).unwrap_or(self.shape);
        Ok(TensorInfo { dtype, shape, range: start..end })
    }
}

/// ComfyUI's GGUF files flatten some tensors and note what they were.
fn original_shape(name: &str, metadata: &IndexMap<String, String>, elements: Option<usize>) -> Option<Vec<usize>> {
    let text = metadata.get(&format!("comfy.gguf.orig_shape.{name}"))?;
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let shape = inside.split(", ").map(str::parse).collect::<Result<Vec<usize>, _>>().ok()?;
    (shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) == elements).then_some(shape)
}

/// The numbers of ggml's types that are read.
const READ: [(u32, Dtype); 20] = [
    (0, Dtype::F32),
    (1, Dtype::F16),
    (2, Dtype::Q4_0),
    (3, Dtype::Q4_1),
    (6, Dtype::Q5_0),
    (7, Dtype::Q5_1),
    (8, Dtype::Q8_0),
    (10, Dtype::Q2K),
    (11, Dtype::Q3K),
    (12, Dtype::Q4K),
    (13, Dtype::Q5K),
    (14, Dtype::Q6K),
    (20, Dtype::Iq4Nl),
    (23, Dtype::Iq4Xs),
    (24, Dtype::I8),
    (25, Dtype::I16),
    (26, Dtype::I32),
    (27, Dtype::I64),
    (28, Dtype::F64),
    (30, Dtype::BF16),
];

/// Those that are known by name alone.
const UNREAD: [(u32, &str); 13] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

fn dtype(kind: u32) -> Result<Dtype, String> {
    let read = READ.iter().find(|(number, _)| *number == kind).map(|(_, dtype)| *dtype);
    read.ok_or_else(|| {
        let name = UNREAD.iter().find(|(number, _)| *number == kind).map_or("of an unknown kind", |(_, name)| *name);
        let known: Vec<&str> = READ.iter().map(|(_, dtype)| dtype.name()).collect();
        format!("type {kind} ({name}) is not read; {} are", known.join(", "))
    })
}

struct Cursor<'a> {
    file: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, n: u64, what: &str) -> Result<&[u8], Problem> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let Some(bytes) = end.and_then(|end| self.file.get(self.at..end)) else {
            let needed = (self.at as u64).saturating_add(n);
            return Err(Problem::Truncated { at: self.file.len() as u64, what: what.into(), needed });
        };
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64, what)?);
        Ok(out)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A number of things of at least `least` bytes each: no more than the file could hold.
    fn count(&mut self, what: &str, least: u64) -> Result<u64, Problem> {
        let at = self.at as u64;
        let n = self.u64(what)?;
        if n > self.file.len() as u64 / least {
            return Err(Problem::Header { at, what: format!("{n} {what} don't fit into this file") });
        }
        Ok(n)
    }

    fn text(&mut self, what: &str) -> Result<String, Problem> {
        let length = self.u64(what)?;
        let at = self.at as u64;
        let bytes = self.take(length, what)?.to_vec();
        String::from_utf8(bytes).map_err(|e| {
            let at = at + e.utf8_error().valid_up_to() as u64;
            Problem::Header { at, what: format!("{what} is not UTF-8") }
        })
    }

    /// A metadata value as text.
    fn value(&mut self, kind: u32, depth: u32) -> Result<String, Problem> {
        let what = "a value";
        Ok(match kind {
            0 => u8::from_le_bytes(self.array(what)?).to_string(),
            1 => i8::from_le_bytes(self.array(what)?).to_string(),
            2 => u16::from_le_bytes(self.array(what)?).to_string(),
            3 => i16::from_le_bytes(self.array(what)?).to_string(),
            4 => self.u32(what)?.to_string(),
            5 => i32::from_le_bytes(self.array(what)?).to_string(),
            6 => f32::from_le_bytes(self.array(what)?).to_string(),
            7 => (self.array::<1>(what)? != [0]).to_string(),
            8 => self.text(what)?,
            9 if depth < 2 => self.list(depth)?,
            10 => self.u64(what)?.to_string(),
            11 => i64::from_le_bytes(self.array(what)?).to_string(),
            12 => f64::from_le_bytes(self.array(what)?).to_string(),
            other => {
                return Err(Problem::Header { at: self.at as u64, what: format!("value type {other} is unknown") });
            }
        })
    }

    fn list(&mut self, depth: u32) -> Result<String, Problem> {
        let kind = self.u32("an array's type")?;
        let n = self.count("array elements", 1)?;
        let mut shown = Vec::new();
        for i in 0..n {
            let value = self.value(kind, depth + 1)?;
            if i < SHOWN {
                shown.push(value);
            }
        }
        Ok(if n <= SHOWN { format!("[{}]", shown.join(", ")) } else { format!("{n} values") })
    }
}
