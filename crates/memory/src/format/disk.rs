//! An open file as a disk: bytes at an offset, through the system's cache or past it. Knows offsets and pages; knows no
//! format and no time.
//!
//! Past the cache means: with `O_DIRECT`, into an aligned buffer; where the file system has no such thing, read and then
//! dropped from the cache.

use super::slow_disk::{Delay, delay_of};
use std::{
    fs::File,
    io,
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

/// What offsets, lengths and addresses of direct reads are multiples of.
const BLOCK: usize = 4096;

/// How much longer than the bytes the buffer of a read must be, so that what it is filled with can be aligned.
pub(super) const SLACK: usize = 3 * BLOCK;

/// A file to read from.
pub(super) struct Disk {
    file: Arc<File>,
    direct: OnceLock<Option<File>>,
    /// For tests: how this disk lets one wait.
    delay: Option<Delay>,
}

impl Disk {
    pub(super) fn new(path: &Path, file: Arc<File>) -> Self {
        Self { file, direct: OnceLock::new(), delay: delay_of(path) }
    }

    /// Reads `range` if the system has it at hand, without waiting for the disk; says whether it did.
    pub(super) fn read_at_hand(&self, range: Range<usize>, buffer: &mut [u8]) -> bool {
        self.delay.is_none() && at_hand(&self.file, range, buffer)
    }

    /// `range` of the file, in the buffer: read directly if that can be, else dropped from the cache behind. Returns
    /// where in the buffer it lies.
    pub(super) fn read(&self, range: Range<usize>, past_cache: bool, buffer: &mut [u8]) -> io::Result<Range<usize>> {
        self.wait(range.clone());
        if past_cache && let Some(place) = self.read_directly(range.clone(), buffer)? {
            return Ok(place);
        }
        let len = range.len();
        fill(&self.file, &mut buffer[..len], range.start, len)?;
        if past_cache {
            drop_behind(&self.file, range);
        }
        Ok(0..len)
    }

    /// For tests: waits as long as this disk does.
    pub(super) fn wait(&self, range: Range<usize>) {
        if let Some(delay) = &self.delay {
            delay(range);
        }
    }

    /// Nothing when this file system takes no direct reads.
    fn read_directly(&self, range: Range<usize>, buffer: &mut [u8]) -> io::Result<Option<Range<usize>>> {
        let direct = self.direct.get_or_init(|| open_direct(&self.file)).as_ref();
        let Some(direct) = direct else { return Ok(None) };
        let (start, end) = (range.start / BLOCK * BLOCK, range.end.next_multiple_of(BLOCK));
        let aligned = buffer.as_ptr().align_offset(BLOCK);
        let target = aligned..aligned + end - start;
        let needed = range.end - start;
        match fill(direct, &mut buffer[target.clone()], start, needed) {
            Ok(()) => Ok(Some(target.start + range.start - start..target.start + needed)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error),
            Err(_) => Ok(None),
        }
    }
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

/// Reads `range` if the system's cache has all of it; says whether it did.
#[cfg(target_os = "linux")]
fn at_hand(file: &File, range: Range<usize>, buffer: &mut [u8]) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let len = range.len();
    let mut target = [io::IoSliceMut::new(&mut buffer[..len])];
    preadv2(file, &mut target, range.start as u64, ReadWriteFlags::NOWAIT).is_ok_and(|read| read == len)
}

#[cfg(not(target_os = "linux"))]
fn at_hand(_: &File, _: Range<usize>, _: &mut [u8]) -> bool {
    false
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
