//! A safetensors header: untrusted bytes in, checked tensor ranges out. Knows no file and no map.
//!
//! Layout: the header's length as u64 (little-endian), the header as JSON
//! (`{"name": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, "__metadata__": {..}}`), then the data without
//! a gap. Everything here is checked before it is believed; duplicate names, which the format forbids and most readers
//! take, are refused.

use super::{dtype::Dtype, error::Problem, header::Header, info::TensorInfo};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// Reads the header at the start of `file`, all of the file's bytes.
pub(crate) fn parse(file: &[u8]) -> Result<Header, Problem> {
    let text = header_text(file)?;
    let raw: RawHeader = serde_json::from_str(text).map_err(|e| json_problem(text, &e))?;
    let data_start = 8 + text.len();
    let mut tensors = IndexMap::with_capacity(raw.tensors.len());
    for (name, entry) in raw.tensors {
        let info = entry.check(data_start, file.len()).map_err(|what| tensor_problem(text, &name, what))?;
        tensors.insert(name, info);
    }
    check_layout(&tensors, data_start, file.len())?;
    Ok(Header { tensors, metadata: raw.metadata, ..Header::default() })
}

/// Where the header ends, by its first eight bytes, if that can be.
pub(super) fn header_end(file: &[u8]) -> usize {
    let length = file.first_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length));
    if length <= MAX_HEADER { 8 + length as usize } else { 8 }
}

/// Whether a file begins as this format does: with a length that can be, and an object after it. Any two bytes of another
/// format's magic number are some header's length, too, so they say nothing alone.
pub(super) fn begins(file: &[u8]) -> bool {
    let possible = file.first_chunk::<8>().is_some_and(|length| u64::from_le_bytes(*length) <= MAX_HEADER);
    possible && file.get(8).is_none_or(|first| *first == b'{')
}

fn header_text(file: &[u8]) -> Result<&str, Problem> {
    if !begins(file)
        && let Some(found) = super::sniff::foreign(file)
    {
        return Err(Problem::NotWeights { found });
    }
    let at = file.len() as u64;
    let Some(length) = file.first_chunk::<8>() else {
        return Err(Problem::Truncated { at, what: "the header's length".into(), needed: 8 });
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER {
        let what =
            format!("the header claims {length} bytes, more than the {MAX_HEADER} allowed (not a safetensors file?)");
        return Err(Problem::Header { at: 0, what });
    }
    let end = 8 + length as usize;
    let Some(bytes) = file.get(8..end) else {
        return Err(Problem::Truncated { at, what: "the header".into(), needed: end as u64 });
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Problem::Header { at: 8 + e.valid_up_to() as u64, what: "the header is not UTF-8".into() })?;
    if !text.starts_with('{') {
        return Err(Problem::Header { at: 8, what: "the header doesn't start with `{`".into() });
    }
    Ok(text)
}

fn json_problem(text: &str, error: &serde_json::Error) -> Problem {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = 8 + (line_start + error.column().saturating_sub(1)).min(text.len()) as u64;
    let full = error.to_string();
    let what = full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what);
    Problem::Header { at, what: format!("the header can't be read: {what}") }
}

/// A problem of one entry, at the entry.
fn tensor_problem(text: &str, name: &str, what: String) -> Problem {
    let quoted = serde_json::to_string(name).unwrap_or_default();
    let at = 8 + text.find(&quoted).unwrap_or(0) as u64;
    Problem::Tensor { at, tensor: name.to_owned(), what }
}

/// In the order of their data, tensors must follow each other without gap or overlap and end where the file does.
fn check_layout(tensors: &IndexMap<String, TensorInfo>, data_start: usize, file_end: usize) -> Result<(), Problem> {
    let mut by_offset: Vec<(&String, &TensorInfo)> = tensors.iter().collect();
    by_offset.sort_by_key(|(_, info)| (info.range.start, info.range.end));
    let (mut end, mut before) = (data_start, "the header");
    for (name, info) in by_offset {
        let start = info.range.start;
        if start != end {
            let what = if start < end {
                format!("its data starts inside {before}, which ends at byte {end}")
            } else {
                format!("there are {} bytes between {before} and its data", start - end)
            };
            return Err(Problem::Tensor { at: start as u64, tensor: name.clone(), what });
        }
        (end, before) = (info.range.end, name);
    }
    if end < file_end {
        return Err(Problem::TrailingBytes { at: end as u64, extra: (file_end - end) as u64 });
    }
    Ok(())
}

struct RawHeader {
    tensors: IndexMap<String, Entry>,
    metadata: IndexMap<String, String>,
}

/// One tensor as the header writes it; nothing in it has been checked.
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    offsets: (usize, usize),
}

impl Entry {
    fn check(self, data_start: usize, file_end: usize) -> Result<TensorInfo, String> {
        let dtype = Dtype::from_safetensors(&self.dtype).ok_or_else(|| format!("unknown dtype `{}`", self.dtype))?;
        let (start, end) = self.offsets;
        if start > end {
            return Err(format!("its data ends ({end}) before it starts ({start})"));
        }
        let room = file_end - data_start;
        if end > room {
            return Err(format!(
                "its data ends at byte {} of a file of {file_end} (truncated?)",
                data_start.saturating_add(end)
            ));
        }
        let elements = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        let needed = elements.and_then(|n| dtype.bytes_for(n));
        if needed != Some(end - start) {
            let needed = needed.map_or("an impossible number of".to_owned(), |n| n.to_string());
            return Err(format!(
                "shape {:?} of {dtype} takes {needed} bytes, its range has {}",
                self.shape,
                end - start
            ));
        }
        Ok(TensorInfo { dtype, shape: self.shape, range: data_start + start..data_start + end })
    }
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = RawHeader;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let (mut tensors, mut metadata) = (IndexMap::new(), None);
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        if metadata.replace(map.next_value::<Option<Metadata>>()?).is_some() {
                            return Err(A::Error::custom("`__metadata__` occurs twice"));
                        }
                    } else if tensors.contains_key(&name) {
                        return Err(A::Error::custom(format!("the tensor name `{name}` occurs twice")));
                    } else {
                        let entry = map.next_value()?;
                        tensors.insert(name, entry);
                    }
                }
                let metadata = metadata.flatten().map(|m| m.0).unwrap_or_default();
                Ok(RawHeader { tensors, metadata })
            }
        }
        deserializer.deserialize_map(V)
    }
}

/// Text to text, each key once.
struct Metadata(IndexMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Metadata;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut out = IndexMap::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    out.insert(key, value);
                }
                Ok(Metadata(out))
            }
        }
        deserializer.deserialize_map(V)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with dtype, shape and data_offsets")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
                let (mut dtype, mut shape, mut offsets) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    let again = match key.as_str() {
                        "dtype" => dtype.replace(map.next_value()?).is_some(),
                        "shape" => shape.replace(map.next_value()?).is_some(),
                        "data_offsets" => offsets.replace(map.next_value()?).is_some(),
                        _ => map.next_value::<IgnoredAny>().map(|_| false)?,
                    };
                    if again {
                        return Err(A::Error::custom(format!("the field `{key}` occurs twice")));
                    }
                }
                Ok(Entry {
                    dtype: dtype.ok_or_else(|| A::Error::missing_field("dtype"))?,
                    shape: shape.ok_or_else(|| A::Error::missing_field("shape"))?,
                    offsets: offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?,
                })
            }
        }
        deserializer.deserialize_map(V)
    }
}
