//! The bytes of a pickle as a machine takes them, and what can be wrong with them. Knows no opcode.

use super::value::Span;

/// Where a pickle is wrong, in bytes from its start, and how.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) what: Wrong,
}

/// What is wrong with a pickle.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// It ends before it is over; so many bytes are missing at least.
    Ends(usize),
    /// It asks for this class or function.
    AsksFor(String),
    /// It contradicts itself.
    Broken(String),
}

pub(super) fn broken(what: impl Into<String>) -> Wrong {
    Wrong::Broken(what.into())
}

/// A pickle's bytes and how far they have been taken.
pub(super) struct Code<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl Code<'_> {
    pub(super) fn take(&mut self, count: usize) -> Result<Span, Wrong> {
        let left = self.bytes.len() - self.at;
        if count > left {
            return Err(Wrong::Ends(count - left));
        }
        self.at += count;
        Ok(Span { start: (self.at - count) as u32, len: count as u32 })
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let span = self.take(N)?;
        let mut out = [0; N];
        out.copy_from_slice(self.slice(span));
        Ok(out)
    }

    pub(super) fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..(span.start + span.len) as usize]
    }

    /// A length of one, four or eight bytes, and as many bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<Span, Wrong> {
        let count = match width {
            1 => u64::from(u8::from_le_bytes(self.array()?)),
            4 => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The rest of a line, without its end.
    pub(super) fn line(&mut self) -> Result<Span, Wrong> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Wrong::Ends(1))?;
        let span = self.take(end)?;
        self.at += 1;
        Ok(span)
    }

    pub(super) fn line_text(&mut self) -> Result<&str, Wrong> {
        let span = self.line()?;
        std::str::from_utf8(self.slice(span)).map_err(|_| broken("has a line that is no text"))
    }
}
