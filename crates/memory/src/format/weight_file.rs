//! A weight file: one map, many named tensors. Knows formats; knows no budget and no device.

use super::{
    decode::{DecodeError, decode_f32},
    error::{FormatError, MissingTensor, Problem, SourceError},
    header::Header,
    inflate::Inflater,
    info::TensorInfo,
    kind::Kind,
    mapped::MappedFile,
    reader::{ReadError, Reader},
    reading::Reading,
    scattered::Scattered,
    source::TensorSource,
};
use crate::budget::available_memory;
use bytes::Bytes;
use indexmap::IndexMap;
use std::{
    io,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

/// A checkpoint opened by pointer: a map of the file and its checked header. Opening costs the header and no more.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.safetensors");
/// # let header = r#"{"bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
/// # let mut file = (header.len() as u64).to_le_bytes().to_vec();
/// # file.extend(header.bytes());
/// # file.extend([1.0f32, 2.0].iter().flat_map(|v| v.to_le_bytes()));
/// # std::fs::write(&path, file)?;
/// let file = kiln_memory::WeightFile::open(&path)?;
/// assert_eq!(file.get("bias").map(|t| t.shape.as_slice()), Some(&[2][..]));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct WeightFile {
    file: MappedFile,
    header: Header,
    reader: Reader,
    /// A [`Reading`] as a number; [`AUTO`] until it is decided.
    reading: AtomicU8,
}

const AUTO: u8 = 0;
const CACHED: u8 = 1;
const PAST_CACHE: u8 = 2;

impl WeightFile {
    /// Maps a safetensors, GGUF or PyTorch file and checks its header. Of a PyTorch file, tensors and plain values are read
    /// and no code is run.
    ///
    /// # Errors
    /// [`FormatError`], with the file and the byte: unreadable, not a weight file, truncated, a header that
    /// contradicts itself or the file, or a pickle that asks for more than tensors.
    pub fn open(path: impl AsRef<Path>) -> Result<Arc<Self>, FormatError> {
        let file = MappedFile::open(path)?;
        file.only_the_start(4096);
        let kind = Kind::of(file.bytes());
        file.only_the_start(kind.header_end(file.bytes()));
        let header = kind.parse(file.bytes(), &|range| file.soon(range));
        let header = header.map_err(|p| FormatError::new(file.path(), p))?;
        file.anywhere();
        let (reader, reading) = (Reader::new(file.path(), file.file().clone()), AtomicU8::new(AUTO));
        Ok(Arc::new(Self { file, header, reader, reading }))
    }

    /// Chooses how the bytes of tensors come from now on.
    pub fn set_reading(&self, reading: Reading) {
        let number = match reading {
            Reading::Auto => AUTO,
            Reading::Cached => CACHED,
            Reading::PastCache => PAST_CACHE,
        };
        self.reading.store(number, Relaxed);
    }

    /// How the bytes of tensors come: [`Reading::Auto`] is decided when it is first asked. A file that takes more than
    /// three quarters of what the machine, or this process's control group, has available would push everything else
    /// out of the system's cache and be gone from it itself before the next pass.
    pub fn reading(&self) -> Reading {
        if self.reading.load(Relaxed) == AUTO {
            let room = available_memory().unwrap_or(u64::MAX);
            let fits = self.file.identity().len <= room / 4 * 3;
            self.set_reading(if fits { Reading::Cached } else { Reading::PastCache });
        }
        if self.reading.load(Relaxed) == PAST_CACHE { Reading::PastCache } else { Reading::Cached }
    }

    /// Decodes elements of a tensor as they are read.
    fn decode(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.get(name).ok_or_else(|| self.missing(name))?;
        let fail = |error| SourceError::Decode { tensor: name.to_owned(), error };
        let length = || fail(DecodeError::Length { dtype: info.dtype, elements: out.len(), bytes: info.bytes() });
        let bounds = info.dtype.bytes_for(elements.start).zip(info.dtype.bytes_for(elements.end));
        let Some((start, end)) = bounds.filter(|(_, end)| *end <= info.bytes() && elements.len() == out.len()) else {
            return Err(length());
        };
        if let Some(scattered) = self.header.scattered.get(name) {
            let bytes = scattered.gather(info, &self.stretch(name, scattered)?);
            return decode_f32(info.dtype, &bytes[start..end], out).map_err(fail);
        }
        let (mut result, mut rest) = (Ok(()), out);
        let block = info.dtype.block();
        let range = info.range.start + start..info.range.start + end;
        let past_cache = self.reading() == Reading::PastCache;
        let read = self.reader.read(range, block.1, past_cache, |piece| {
            let count = (piece.len() / block.1 * block.0).min(rest.len());
            let (now, later) = std::mem::take(&mut rest).split_at_mut(count);
            rest = later;
            if result.is_ok() {
                result = decode_f32(info.dtype, piece, now);
            }
        });
        read.map_err(|error| self.read_error(name, error))?;
        result.map_err(fail)
    }

    /// The bytes that a scattered tensor's numbers lie in.
    fn stretch(&self, name: &str, scattered: &Scattered) -> Result<Vec<u8>, SourceError> {
        let (range, past_cache) = (scattered.stretch.clone(), self.reading() == Reading::PastCache);
        let at = range.start as u64;
        let fail = |error| self.read_error(name, error);
        let Some(len) = scattered.inflated else {
            let mut bytes = Vec::with_capacity(range.len());
            self.reader.read(range, 1, past_cache, |piece| bytes.extend_from_slice(piece)).map_err(fail)?;
            return Ok(bytes);
        };
        let mut inflater = Inflater::new(len);
        self.reader.read(range, 1, past_cache, |piece| inflater.push(piece)).map_err(fail)?;
        inflater.finish().ok_or_else(|| {
            let what = format!("the compressed bytes that it lies in don't inflate to {len} bytes");
            FormatError::new(self.path(), Problem::Tensor { at, tensor: name.to_owned(), what }).into()
        })
    }

    fn read_error(&self, tensor: &str, error: ReadError) -> SourceError {
        let file = self.path();
        match error {
            ReadError::Stalled(after) => {
                SourceError::Stalled { file: file.to_owned(), tensor: tensor.to_owned(), after }
            }
            ReadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                FormatError::new(file, Problem::Changed { what: error.to_string() }).into()
            }
            ReadError::Io(error) => FormatError::new(file, error).into(),
        }
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The map below.
    pub fn mapped(&self) -> &MappedFile {
        &self.file
    }

    /// All tensor names, in the header's order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str)
    }

    /// All tensors, in the header's order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.header.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.header.tensors.get(name)
    }

    /// The file's free-form metadata: safetensors' `__metadata__`, GGUF's key-value pairs and a
    /// pickle's plain values as text.
    pub fn metadata(&self) -> &IndexMap<String, String> {
        &self.header.metadata
    }

    /// The bytes of a tensor, straight from the map. Tensors of a PyTorch file that lie scattered in it (views through
    /// strides, compressed entries) have none in a row: they are read as numbers.
    ///
    /// # Errors
    /// [`MissingTensor`], with the closest name that exists.
    pub fn bytes(&self, name: &str) -> Result<&[u8], MissingTensor> {
        match self.in_a_row(name) {
            Some(info) => Ok(&self.file.bytes()[info.range.clone()]),
            None => Err(MissingTensor::new(name, self.path().display().to_string(), self.names())),
        }
    }

    /// A tensor whose bytes are a range of the file.
    fn in_a_row(&self, name: &str) -> Option<&TensorInfo> {
        self.get(name).filter(|_| !self.header.scattered.contains_key(name))
    }
}

impl TensorSource for WeightFile {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &[]
    }

    fn label(&self) -> String {
        self.path().display().to_string()
    }

    fn names(&self) -> Vec<&str> {
        self.names().collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.get(name)
    }

    /// A slice of the map; nothing when the file is read past the system's cache.
    fn slice(&self, name: &str) -> Option<Bytes> {
        let info = self.in_a_row(name).filter(|_| self.reading() == Reading::Cached)?;
        Some(self.mapped().shared().slice(info.range.clone()))
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.check()?;
        let elements = self.get(name).map_or(0, TensorInfo::elements);
        self.decode(name, 0..elements, out)
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.check()?;
        let whole_blocks = self.get(name).is_none_or(|info| info.dtype.bytes_for(elements.start).is_some());
        if whole_blocks {
            return self.decode(name, elements, out);
        }
        let mut whole = vec![0.0; self.get(name).map_or(0, TensorInfo::elements)];
        self.decode(name, 0..whole.len(), &mut whole)?;
        out.copy_from_slice(whole.get(elements).unwrap_or_default());
        Ok(())
    }

    fn check(&self) -> Result<(), FormatError> {
        self.mapped().check()
    }

    fn set_reading(&self, reading: Reading) {
        Self::set_reading(self, reading);
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.reader.set_timeout(timeout);
    }

    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        let Some(info) = self.in_a_row(name) else { return Ok(()) };
        let range = info.range.start + bytes.start..info.range.end.min(info.range.start + bytes.end);
        if self.mapped().is_at_hand(range.clone()) {
            return Ok(());
        }
        let stretch = self.mapped().shared().slice(range.clone());
        self.reader.touch(&stretch, range.start).map_err(|error| self.read_error(name, error))
    }

    fn done_with(&self, name: &str) {
        if let Some(info) = self.in_a_row(name) {
            self.mapped().forget(info.range.clone());
        }
    }
}
