//! The zip form of a PyTorch file: `NAME/data.pkl`, `NAME/data/KEY` for each storage, `NAME/byteorder`. Knows zip archives;
//! reads no tensor.
//!
//! torch stores its entries uncompressed and aligned, so that a storage is a range of the file. Checksums are not looked
//! at: they would cost reading everything, and torch leaves them out where it is told to.

use super::{
    origin::Origin,
    places::{Place, Storages, header},
    tensor::Storage,
};
use crate::format::{
    error::Problem,
    header::Header,
    inflate::{MOST_PER_BYTE, inflate},
    pickle,
};
use rawzip::{CompressionMethod, Error, ErrorKind, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};
use std::{borrow::Cow, collections::HashMap, ops::Range};

/// How far from a file's end its directory's end may lie.
const SEARCH: u64 = 1 << 17;
/// The longest pickle that is inflated.
const LONGEST_PICKLE: usize = 256 << 20;
/// What a local header usually takes: its fixed part, a name, the blanks by which torch aligns what follows.
const LOCAL_HEADER: usize = 256;

/// Reads the zip archive `file`, all of the file's bytes. `soon` is told which of them will be needed next.
pub(crate) fn parse(file: &[u8], soon: &dyn Fn(Range<usize>)) -> Result<Header, Problem> {
    let zip = ZipArchive::with_max_search_space(SEARCH).locate_in_slice(file);
    let zip = zip.map_err(|(_, error)| problem(file, &error))?;
    let archive = Archive::new(&zip, soon)?;
    let place = archive.place("data.pkl").map_err(|what| Problem::Header { at: 0, what })?;
    if place.len() > LONGEST_PICKLE {
        let what = format!("this zip archive's data.pkl has {} bytes, which no file of tensors needs", place.len());
        return Err(Problem::Header { at: place.range.start as u64, what });
    }
    let origin = Origin { start: place.range.start as u64, plain: place.inflated.is_none() };
    let bytes = archive.bytes(&place)?;
    let (pickle, _) = pickle::read(&bytes).map_err(|fault| origin.problem(fault))?;
    header(&pickle, origin, &archive)
}

fn problem(file: &[u8], error: &Error) -> Problem {
    let at = file.len() as u64;
    match error.kind() {
        ErrorKind::MissingEndOfCentralDirectory | ErrorKind::Eof => {
            Problem::Truncated { at, what: "this zip archive's directory".into(), needed: at + 22 }
        }
        _ => Problem::Header {
            at: error.eocd_offset().unwrap_or(0),
            what: format!("this zip archive's directory can't be read: {error}"),
        },
    }
}

struct Archive<'a> {
    zip: &'a ZipSliceArchive<&'a [u8]>,
    soon: &'a dyn Fn(Range<usize>),
    entries: HashMap<&'a [u8], Entry>,
    /// What all names of torch's begin with.
    prefix: String,
    swapped: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    way: ZipArchiveEntryWayfinder,
    at: usize,
    method: CompressionMethod,
    encrypted: bool,
}

impl<'a> Archive<'a> {
    fn new(zip: &'a ZipSliceArchive<&'a [u8]>, soon: &'a dyn Fn(Range<usize>)) -> Result<Self, Problem> {
        let mut entries = HashMap::new();
        for record in zip.entries() {
            let record = record.map_err(|error| problem(zip.get_ref(), &error))?;
            let (name, at) = (record.file_path().as_bytes(), record.local_header_offset());
            let (method, encrypted) = (record.compression_method(), record.flags().is_encrypted());
            let entry =
                Entry { way: record.wayfinder(), at: usize::try_from(at).unwrap_or(usize::MAX), method, encrypted };
            if entries.insert(name, entry).is_some() {
                let what = format!("this zip archive has two entries `{}`", String::from_utf8_lossy(name));
                return Err(Problem::Header { at: record.central_directory_offset(), what });
            }
        }
        let found = |found| Problem::NotWeights { found };
        let prefix = prefix(&entries).ok_or_else(|| found("a zip archive without data.pkl, so no PyTorch file"))?;
        let mut archive = Self { zip, soon, entries, prefix, swapped: false };
        if archive.entry("constants.pkl").is_some() {
            return Err(found("a TorchScript archive, code with its weights (save the module's state_dict() alone)"));
        }
        archive.swapped = archive.is_swapped()?;
        Ok(archive)
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(format!("{}{name}", self.prefix).as_bytes())
    }

    /// Whether the entry `byteorder` says so; files of before torch 2.1 have none, and are little-endian.
    fn is_swapped(&self) -> Result<bool, Problem> {
        if self.entry("byteorder").is_none() {
            return Ok(false);
        }
        let place = self.place("byteorder").map_err(|what| Problem::Header { at: 0, what })?;
        let order = if place.len() <= 16 { self.bytes(&place)? } else { Cow::default() };
        match &*order {
            b"little" => Ok(false),
            b"big" => Ok(true),
            _ => {
                let what = "this zip archive's byteorder is neither `little` nor `big`".into();
                Err(Problem::Header { at: place.range.start as u64, what })
            }
        }
    }

    fn place(&self, name: &str) -> Result<Place, String> {
        let entry =
            self.entry(name).ok_or_else(|| format!("there is no entry {}{name} in this zip archive", self.prefix))?;
        let fail = |what: &str| Err(format!("the entry {}{name} of this zip archive {what}", self.prefix));
        if entry.encrypted {
            return fail("is encrypted");
        }
        let Ok(found) = self.zip.get_entry(entry.way) else { return fail("lies outside of the file (truncated?)") };
        let (start, end) = found.compressed_data_range();
        let range = start as usize..end as usize;
        let len = usize::try_from(entry.way.uncompressed_size_hint()).unwrap_or(usize::MAX);
        match entry.method {
            CompressionMethod::STORE if len == range.len() => Ok(Place { range, inflated: None }),
            CompressionMethod::STORE => fail("is stored with another length than its own"),
            CompressionMethod::DEFLATE if len / MOST_PER_BYTE <= range.len() => {
                Ok(Place { range, inflated: Some(len) })
            }
            CompressionMethod::DEFLATE => fail("claims to become longer than it can: a zip bomb?"),
            other => fail(&format!("is compressed by method {}; torch stores its entries", other.as_u16())),
        }
    }

    fn bytes(&self, place: &Place) -> Result<Cow<'a, [u8]>, Problem> {
        let at = place.range.start as u64;
        let stored = self.zip.get_ref().get(place.range.clone()).unwrap_or_default();
        match place.inflated {
            None => Ok(Cow::Borrowed(stored)),
            Some(len) => inflate(stored, len).map(Cow::Owned).ok_or_else(|| Problem::Header {
                at,
                what: format!("this entry of the zip archive doesn't inflate to the {len} bytes that it claims"),
            }),
        }
    }
}

/// What stands before `data.pkl` in the shortest name that ends so.
fn prefix(entries: &HashMap<&[u8], Entry>) -> Option<String> {
    let folder = |name: &&[u8]| {
        let folder = name.strip_suffix(b"data.pkl").filter(|folder| folder.is_empty() || folder.ends_with(b"/"))?;
        String::from_utf8(folder.to_vec()).ok()
    };
    entries.keys().filter_map(folder).min_by_key(|folder| (folder.len(), folder.clone()))
}

impl Storages for Archive<'_> {
    fn expect(&self, storages: &mut dyn Iterator<Item = &Storage>) {
        for entry in storages.filter_map(|storage| self.entry(&format!("data/{}", storage.key))) {
            (self.soon)(entry.at..entry.at.saturating_add(LOCAL_HEADER));
        }
    }

    fn place(&self, storage: &Storage) -> Result<Place, String> {
        self.place(&format!("data/{}", storage.key))
    }

    fn swapped(&self) -> bool {
        self.swapped
    }

    fn file_len(&self) -> usize {
        self.zip.get_ref().len()
    }
}
