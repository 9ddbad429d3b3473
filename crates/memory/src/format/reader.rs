//! The bytes of an open file, read rather than mapped, and given up when the disk stalls. Knows offsets and a time; knows
//! no format.
//!
//! A short read is an error that can be reported; a page of a map that isn't there any more is a signal. So weights that
//! are decoded anyway are read. What the system doesn't have at hand comes on another thread, the next piece while this
//! one is decoded: a thread that waits for a disk can't be called back, but it can be left behind.

use super::{
    disk::{Disk, SLACK},
    read_threads::{GivenUp, Pending, ReadThreads},
    reading::READ_TIMEOUT,
};
use std::{
    fs::File,
    io,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Bytes that are asked for at once.
const PIECE: usize = 1 << 20;
/// Bytes of a map that are touched at once.
const STRETCH: usize = 16 << 20;
/// Buffers that are kept for the next read.
const KEPT: usize = 2;

/// Why bytes did not come.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    /// The disk gave nothing for so long.
    Stalled(Duration),
}

/// Reads one file.
pub(super) struct Reader {
    disk: Arc<Disk>,
    threads: ReadThreads,
    buffers: Mutex<Vec<Vec<u8>>>,
    /// Milliseconds that a piece may take; 0 is for ever.
    timeout: AtomicU64,
}

/// One piece of a read.
enum Piece {
    AtHand(Vec<u8>, Range<usize>),
    Coming(Pending<(Vec<u8>, io::Result<Range<usize>>)>),
}

impl Reader {
    pub(super) fn new(path: &Path, file: Arc<File>) -> Self {
        let timeout = AtomicU64::new(READ_TIMEOUT.as_millis() as u64);
        let disk = Arc::new(Disk::new(path, file));
        Self { disk, threads: ReadThreads::default(), buffers: Mutex::default(), timeout }
    }

    /// How long a disk may give nothing, from now on; `None`: for ever.
    pub(super) fn set_timeout(&self, timeout: Option<Duration>) {
        let millis = timeout.map_or(0, |timeout| (timeout.as_millis() as u64).max(1));
        self.timeout.store(millis, Relaxed);
    }

    fn timeout(&self) -> Option<Duration> {
        let millis = self.timeout.load(Relaxed);
        (millis > 0).then(|| Duration::from_millis(millis))
    }

    /// Reads `range` piece by piece; each piece is a whole number of `unit`s but for the last.
    pub(super) fn read(
        &self,
        range: Range<usize>,
        unit: usize,
        past_cache: bool,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let piece = (PIECE / unit.max(1)).max(1) * unit.max(1);
        let mut ranges = (range.start..range.end).step_by(piece).map(|at| at..range.end.min(at + piece));
        let mut begin = || ranges.next().map(|range| self.begin(range, past_cache)).transpose();
        let mut next = begin()?;
        while let Some(piece) = next {
            let (buffer, place) = self.finish(piece)?;
            next = begin()?;
            take(&buffer[place]);
            self.keep(buffer);
        }
        Ok(())
    }

    /// Makes sure that `bytes` of a map of this file, which begin at `offset`, can be touched without waiting for the disk.
    pub(super) fn touch(&self, bytes: &bytes::Bytes, offset: usize) -> Result<(), ReadError> {
        let Some(timeout) = self.timeout() else { return Ok(()) };
        for start in (0..bytes.len()).step_by(STRETCH) {
            let stretch = bytes.slice(start..bytes.len().min(start + STRETCH));
            let (disk, range) = (self.disk.clone(), offset + start..offset + start + stretch.len());
            let touch = move || {
                disk.wait(range);
                stretch.iter().step_by(4096).fold(0, |sum, byte| sum ^ std::hint::black_box(*byte))
            };
            let pending = self.threads.start(touch).map_err(|error| unable(error, timeout))?;
            self.threads.finish(pending, Some(timeout)).map_err(|GivenUp| ReadError::Stalled(timeout))?;
        }
        Ok(())
    }

    fn begin(&self, range: Range<usize>, past_cache: bool) -> Result<Piece, ReadError> {
        let mut buffer = self.buffer(range.len() + SLACK);
        if !past_cache && self.disk.read_at_hand(range.clone(), &mut buffer) {
            return Ok(Piece::AtHand(buffer, 0..range.len()));
        }
        let Some(timeout) = self.timeout() else {
            let place = self.disk.read(range, past_cache, &mut buffer).map_err(ReadError::Io)?;
            return Ok(Piece::AtHand(buffer, place));
        };
        let disk = self.disk.clone();
        let read = move || {
            let place = disk.read(range, past_cache, &mut buffer);
            (buffer, place)
        };
        self.threads.start(read).map(Piece::Coming).map_err(|error| unable(error, timeout))
    }

    fn finish(&self, piece: Piece) -> Result<(Vec<u8>, Range<usize>), ReadError> {
        match piece {
            Piece::AtHand(buffer, place) => Ok((buffer, place)),
            Piece::Coming(pending) => {
                let timeout = self.timeout();
                let (buffer, place) = self
                    .threads
                    .finish(pending, timeout)
                    .map_err(|GivenUp| ReadError::Stalled(timeout.unwrap_or_default()))?;
                place.map(|place| (buffer, place)).map_err(ReadError::Io)
            }
        }
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
}

/// A read can't begin: the one before is stuck, or the system gives no thread.
fn unable(error: Option<io::Error>, timeout: Duration) -> ReadError {
    error.map_or(ReadError::Stalled(timeout), ReadError::Io)
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("timeout", &self.timeout()).finish_non_exhaustive()
    }
}
