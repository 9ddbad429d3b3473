//! The bytes of an open file, read rather than mapped: through the system's cache or past it. Knows offsets and pages;
//! knows no format.
//!
//! A short read is an error that can be reported; a page of a map that isn't there any more is a signal. So weights that
//! are decoded anyway are read. Past the cache means: with `O_DIRECT`, into an aligned buffer; where the file system
//! has no such thing, read and then dropped from the cache.

use super::error::{FormatError, Problem};
use std::{
    fs::File,
    io,
    ops::Range,
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

/// How the bytes of a weight file come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reading {
    /// Through the system's cache if the file fits into what the machine has free when it is first used, else past it.
    #[default]
    Auto,
    /// Through the system's cache, which keeps what it likes; f32 is used where it lies in the map.
    Cached,
    /// Past the system's cache: what doesn't stay in a place of ours comes from the disk each time, and pushes nothing
    /// of other programs out.
    PastCache,
}

/// Bytes that are asked for at once.
const PIECE: usize = 1 << 20;
/// What offsets, lengths and addresses of direct reads are multiples of.
const BLOCK: usize = 4096;
/// Buffers that are kept for the next read.
const KEPT: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Reader {
    direct: OnceLock<Option<File>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Reader {
    /// Reads `range` of `file` piece by piece; each piece is a whole number of `unit`s but for the last.
    ///
    /// # Errors
    /// [`Problem::Io`], or [`Problem::Changed`] when the file ends before the range does.
    pub(crate) fn read(
        &self,
        (path, file): (&Path, &File),
        range: Range<usize>,
        unit: usize,
        past_cache: bool,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), FormatError> {
        let piece = (PIECE / unit.max(1)).max(1) * unit.max(1);
        let mut buffer = self.buffer(piece + 3 * BLOCK);
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + piece);
            let bytes = if past_cache {
                self.past_cache(file, at..end, &mut buffer)
            } else {
                cached(file, at..end, &mut buffer)
            };
            take(bytes.map_err(|error| read_error(path, error))?);
            at = end;
        }
        self.keep(buffer);
        Ok(())
    }

    fn buffer(&self, len: usize) -> Vec<u8> {
        let kept = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = kept.unwrap_or_default();
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        buffer
    }

    fn keep(&self, buffer: Vec<u8>) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < KEPT && buffer.len() <= 2 * PIECE {
            buffers.push(buffer);
        }
    }

    /// `range` of the file, in the buffer: read directly if that can be, else dropped from the cache behind.
    fn past_cache<'a>(&self, file: &File, range: Range<usize>, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let direct = self.direct.get_or_init(|| open_direct(file)).as_ref();
        let aligned = buffer.as_ptr().align_offset(BLOCK);
        if let Some(direct) = direct {
            let (start, end) = (range.start / BLOCK * BLOCK, range.end.next_multiple_of(BLOCK));
            let target = aligned..aligned + end - start;
            let needed = range.end - start;
            match fill(direct, &mut buffer[target.clone()], start, needed) {
                Ok(()) => return Ok(&buffer[target.start + range.start - start..target.start + needed]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(error),
                Err(_) => {} // this file system takes no direct reads after all
            }
        }
        let len = range.len();
        cached(file, range.clone(), &mut buffer[..len])?;
        drop_behind(file, range);
        Ok(&buffer[..len])
    }
}

fn cached<'a>(file: &File, range: Range<usize>, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let len = range.len();
    fill(file, &mut buffer[..len], range.start, len)?;
    Ok(&buffer[..len])
}

/// Reads until `needed` bytes are there; the buffer may be longer.
fn fill(file: &File, buffer: &mut [u8], offset: usize, needed: usize) -> io::Result<()> {
    let mut done = 0;
    while done < needed {
        match read_at(file, &mut buffer[done..], (offset + done) as u64) {
            Ok(0) => {
                let what = format!("it ends at byte {}, {} were needed", offset + done, offset + needed);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_error(path: &Path, error: io::Error) -> FormatError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return FormatError::new(path, Problem::Changed { what: error.to_string() });
    }
    FormatError::new(path, error)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// The same file once more, for direct reads. By its descriptor: the path may lead to another one by now.
#[cfg(target_os = "linux")]
fn open_direct(file: &File) -> Option<File> {
    use std::os::{fd::AsRawFd, unix::fs::OpenOptionsExt};
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).ok()?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &File) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn drop_behind(file: &File, range: Range<usize>) {
    use rustix::fs::{Advice, fadvise};
    _ = fadvise(file, range.start as u64, std::num::NonZeroU64::new(range.len() as u64), Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn drop_behind(_: &File, _: Range<usize>) {}
