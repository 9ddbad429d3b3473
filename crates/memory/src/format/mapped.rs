//! A file as a slice of memory, and whether it is still the file that was opened. Knows no format.
#![allow(unsafe_code)]

use super::{
    error::{FormatError, Problem},
    page_fault::Watch,
};
use std::{
    fs::{File, Metadata},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

/// How long a result of [`MappedFile::check`] is believed, in milliseconds.
const TRUST: u64 = 20;

/// A read-only map of a whole file. Pages are read when they are touched and are the kernel's to take back.
///
/// A file may be cut by another program while it is mapped. [`check`](Self::check) compares length, time of change and
/// inode with those at opening, at most every 20 ms. A page that is touched within those 20 ms and isn't there any more
/// reads as zeros, and the next `check` says so (on Linux; elsewhere the platform ends the process). Replacing a file by
/// renaming another over it is harmless: the map keeps the old one.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    file: Arc<File>,
    map: bytes::Bytes,
    watch: Watch,
    identity: Identity,
    opened: Instant,
    checked: AtomicU64,
}

/// A map that isn't watched any more before it goes.
struct Watched {
    map: memmap2::Mmap,
    watch: Watch,
}

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.end();
    }
}

/// What makes a file the same file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Length in bytes.
    pub len: u64,
    /// Time of the last change, where the platform tells.
    pub modified: Option<SystemTime>,
    /// Device and inode, on Unix.
    pub inode: Option<(u64, u64)>,
}

impl Identity {
    fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = {
            use std::os::unix::fs::MetadataExt;
            Some((meta.dev(), meta.ino()))
        };
        #[cfg(not(unix))]
        let inode = None;
        Self { len: meta.len(), modified: meta.modified().ok(), inode }
    }

    fn difference(&self, now: &Self) -> Option<String> {
        if now.len != self.len {
            return Some(format!("{} bytes when opened, {} now", self.len, now.len));
        }
        (now != self).then(|| "it was written to".to_owned())
    }
}

impl MappedFile {
    /// Maps `path`. Costs no reading.
    ///
    /// # Errors
    /// [`Problem::Io`] when it can't be opened or mapped, [`Problem::NotWeights`] for a folder or an empty file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FormatError> {
        let path = path.as_ref();
        let fail = |problem: Problem| FormatError::new(path, problem);
        let file = File::open(path).map_err(|e| fail(e.into()))?;
        let meta = file.metadata().map_err(|e| fail(e.into()))?;
        if meta.is_dir() {
            return Err(fail(Problem::NotWeights { found: "a folder" }));
        }
        if meta.len() == 0 {
            return Err(fail(Problem::NotWeights { found: "an empty file" }));
        }
        // SAFETY: the map is private and read-only. Another process may still change the file below it: bytes of
        // tensors are only ever interpreted as numbers, for which every pattern is valid, and a truncation is
        // caught by `check` as far as the platform lets us (see the type's documentation).
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| fail(e.into()))?;
        let watch = Watch::over(&map);
        Ok(Self {
            path: path.to_owned(),
            identity: Identity::of(&meta),
            file: Arc::new(file),
            map: bytes::Bytes::from_owner(Watched { map, watch: watch.clone() }),
            watch,
            opened: Instant::now(),
            checked: AtomicU64::new(0),
        })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// The map as a shared owner: slices of it keep it alive.
    pub fn shared(&self) -> &bytes::Bytes {
        &self.map
    }

    /// The open file, for reading past the map.
    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// What it was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Only what lies at the start is about to be read, `first` bytes of it: the system shall read those and not guess
    /// more. Around a touched page it would otherwise read megabytes of weights that may never be wanted.
    pub(crate) fn only_the_start(&self, first: usize) {
        advise(&self.map, Access::Scattered);
        advise(&self.map[..first.min(self.map.len())], Access::Soon);
    }

    /// This is about to be read: the system may begin to fetch it.
    pub(super) fn soon(&self, range: Range<usize>) {
        let start = range.start / page_size() * page_size();
        if let Some(pages) = self.map.get(start..range.end.min(self.map.len())) {
            advise(pages, Access::Soon);
        }
    }

    /// From now on the system may guess again.
    pub(crate) fn anywhere(&self) {
        advise(&self.map, Access::Usual);
    }

    /// Whether the system's cache holds every page of a range, so that touching it doesn't wait for a disk. Where it
    /// can't be known: no.
    pub(super) fn is_at_hand(&self, range: Range<usize>) -> bool {
        let page = page_size();
        let (start, end) = (range.start / page * page, range.end.min(self.map.len()));
        start >= end || is_at_hand(&self.map[start..end], page)
    }

    /// Takes the whole pages of a range out of this process's resident memory. The system's cache of the file may keep
    /// them; touching them again brings them back.
    pub fn forget(&self, range: Range<usize>) {
        let page = page_size();
        let (start, end) = (range.start.next_multiple_of(page), range.end.min(self.map.len()) / page * page);
        if start < end {
            forget(&self.map[start..end]);
        }
    }

    /// Asks the system whether the file is still what was opened, unless it was asked a moment ago.
    ///
    /// # Errors
    /// [`Problem::Changed`].
    pub fn check(&self) -> Result<(), FormatError> {
        if self.watch.hit() {
            let what = "bytes of it were gone when they were read".to_owned();
            return Err(FormatError::new(&self.path, Problem::Changed { what }));
        }
        let now = self.opened.elapsed().as_millis() as u64;
        if now.saturating_sub(self.checked.load(Ordering::Relaxed)) < TRUST {
            return Ok(());
        }
        self.check_now()?;
        self.checked.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// Same as [`check`](Self::check), always asking.
    ///
    /// # Errors
    /// [`Problem::Changed`].
    pub fn check_now(&self) -> Result<(), FormatError> {
        let meta = self.file.metadata().map_err(|e| FormatError::new(&self.path, e))?;
        match self.identity.difference(&Identity::of(&meta)) {
            None => Ok(()),
            Some(what) => Err(FormatError::new(&self.path, Problem::Changed { what })),
        }
    }
}

/// What is going to be read of a map.
#[derive(Clone, Copy)]
enum Access {
    Usual,
    Scattered,
    Soon,
}

#[cfg(unix)]
fn advise(pages: &[u8], access: Access) {
    use rustix::mm::{Advice, madvise};
    let advice = match access {
        Access::Usual => Advice::Normal,
        Access::Scattered => Advice::Random,
        Access::Soon => Advice::WillNeed,
    };
    // SAFETY: the range starts with a map of ours; how it is read ahead changes no contents.
    _ = unsafe { madvise(pages.as_ptr().cast_mut().cast(), pages.len(), advice) };
}

#[cfg(not(unix))]
fn advise(_: &[u8], _: Access) {}

#[cfg(target_os = "linux")]
fn page_size() -> usize {
    rustix::param::page_size()
}

#[cfg(target_os = "linux")]
fn forget(pages: &[u8]) {
    use rustix::mm::{Advice, madvise};
    // SAFETY: whole pages of a read-only map of a file: dropping them loses nothing, the next touch reads the same
    // bytes from the file again. Readers meanwhile see no difference.
    _ = unsafe { madvise(pages.as_ptr().cast_mut().cast(), pages.len(), Advice::LinuxDontNeed) };
}

#[cfg(target_os = "linux")]
fn is_at_hand(pages: &[u8], page: usize) -> bool {
    let mut held = vec![0u8; pages.len().div_ceil(page)];
    // SAFETY: the range is one of a map of ours from a page's start on; a byte per page is written into `held`.
    let known = unsafe { libc::mincore(pages.as_ptr().cast_mut().cast(), pages.len(), held.as_mut_ptr()) } == 0;
    known && held.iter().all(|page| page & 1 == 1)
}

#[cfg(not(target_os = "linux"))]
fn is_at_hand(_: &[u8], _: usize) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn page_size() -> usize {
    4096
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &[u8]) {}
