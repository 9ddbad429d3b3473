//! The writing end: numbers, texts and arrays as bytes, little-endian. Knows no value and no payload.

use std::io::{self, Write};

/// Numbers that are turned into bytes at a time.
const CHUNK: usize = 4096;

/// Writes the parts of a payload, one after the other. [`Decoder`](crate::Decoder) reads them in the same order.
pub struct Encoder<'w> {
    to: &'w mut dyn Write,
    /// Where arrays become bytes, piece by piece.
    chunk: Vec<u8>,
}

impl<'w> Encoder<'w> {
    /// Writes into `to`.
    pub fn new(to: &'w mut dyn Write) -> Self {
        Self { to, chunk: Vec::new() }
    }

    /// Bytes as they are, without their number.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn u8(&mut self, value: u8) -> io::Result<()> {
        self.raw(&[value])
    }

    /// One byte, 0 or 1.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn bool(&mut self, value: bool) -> io::Result<()> {
        self.u8(u8::from(value))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn u32(&mut self, value: u32) -> io::Result<()> {
        self.raw(&value.to_le_bytes())
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn u64(&mut self, value: u64) -> io::Result<()> {
        self.raw(&value.to_le_bytes())
    }

    /// A length or a count, in eight bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn count(&mut self, value: usize) -> io::Result<()> {
        self.u64(value as u64)
    }

    /// Four bytes, bit for bit.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn f32(&mut self, value: f32) -> io::Result<()> {
        self.u32(value.to_bits())
    }

    /// Eight bytes, bit for bit.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn f64(&mut self, value: f64) -> io::Result<()> {
        self.u64(value.to_bits())
    }

    /// Bytes with their number before them.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.count(bytes.len())?;
        self.raw(bytes)
    }

    /// A text with its length before it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Numbers bit for bit, their count before them.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn f32s(&mut self, values: &[f32]) -> io::Result<()> {
        self.count(values.len())?;
        for values in values.chunks(CHUNK) {
            self.chunk.clear();
            self.chunk.extend(values.iter().flat_map(|value| value.to_bits().to_le_bytes()));
            self.to.write_all(&self.chunk)?;
        }
        Ok(())
    }

    /// One byte that says whether there is something, and `write` writes it.
    ///
    /// # Errors
    /// Those of the writer, and those of `write`.
    pub fn option<T, E: From<io::Error>>(
        &mut self,
        value: Option<T>,
        write: impl FnOnce(&mut Self, T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.bool(value.is_some())?;
        value.map_or(Ok(()), |value| write(self, value))
    }
}
