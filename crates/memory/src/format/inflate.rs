//! A deflated stretch of bytes made long again, up to a length that was said beforehand. Knows nothing of archives.

use miniz_oxide::{
    DataFormat, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate as step},
};

/// The most bytes that deflate makes of one.
pub(crate) const MOST_PER_BYTE: usize = 1032;

/// Inflates what it is given piece by piece.
pub(crate) struct Inflater {
    state: Box<InflateState>,
    /// One byte longer than what is expected: a stretch that is too long shows, and the end always has room to be read.
    out: Vec<u8>,
    done: usize,
    ended: bool,
    failed: bool,
}

impl Inflater {
    /// For a stretch that becomes `len` bytes long; they are allocated now.
    pub(crate) fn new(len: usize) -> Self {
        Self {
            state: InflateState::new_boxed(DataFormat::Raw),
            out: vec![0; len + 1],
            done: 0,
            ended: false,
            failed: false,
        }
    }

    /// Takes the next piece of the stretch.
    pub(crate) fn push(&mut self, mut piece: &[u8]) {
        while !(piece.is_empty() || self.ended || self.failed) {
            let made = step(&mut self.state, piece, &mut self.out[self.done..], MZFlush::None);
            (self.done, piece) = (self.done + made.bytes_written, &piece[made.bytes_consumed..]);
            let moved = made.bytes_consumed + made.bytes_written > 0;
            match made.status {
                Ok(MZStatus::StreamEnd) => self.ended = true,
                Ok(_) if moved && self.done < self.out.len() => {}
                Ok(_) | Err(_) => self.failed = true,
            }
        }
    }

    /// All of its bytes; nothing if the stretch is broken or has another length than was said.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        let whole = self.ended && !self.failed && self.done + 1 == self.out.len();
        self.out.pop();
        whole.then_some(self.out)
    }
}

/// A whole stretch inflated.
pub(crate) fn inflate(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut inflater = Inflater::new(len);
    inflater.push(bytes);
    inflater.finish()
}
