//! The reading end: numbers, texts and arrays out of bytes that may be damaged. Knows no value and no payload.

use std::io::Read;

use crate::codec::error::CodecError;

/// Numbers that are read at a time.
const CHUNK: usize = 4096;

/// Reads what an [`Encoder`](crate::Encoder) wrote, in the same order. A length that the rest cannot hold is damage, so
/// that no bytes make it ask for more memory than there are bytes.
pub struct Decoder<'r> {
    from: &'r mut dyn Read,
    left: u64,
}

impl<'r> Decoder<'r> {
    /// Reads at most `length` bytes from `from`.
    pub fn new(from: &'r mut dyn Read, length: u64) -> Self {
        Self { from, left: length }
    }

    /// Bytes that are left, at most.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Fills `to`.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] when there is not as much; those of the reader.
    pub fn raw(&mut self, to: &mut [u8]) -> Result<(), CodecError> {
        self.claim(to.len() as u64, 1)?;
        Ok(self.from.read_exact(to)?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut bytes = [0; N];
        self.raw(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes `count` things of `size` bytes off what is left.
    fn claim(&mut self, count: u64, size: u64) -> Result<(), CodecError> {
        let left = count.checked_mul(size).and_then(|bytes| self.left.checked_sub(bytes));
        let missing = || CodecError::damaged(format!("{count} × {size} bytes are due, {} are left", self.left));
        self.left = left.ok_or_else(missing)?;
        Ok(())
    }

    /// One byte.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[byte]| byte)
    }

    /// One byte, 0 or 1.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] for another byte or at the end; those of the reader.
    pub fn bool(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::damaged(format!("{other} is neither yes nor no"))),
        }
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        self.array().map(u64::from_le_bytes)
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub(crate) fn i128(&mut self) -> Result<i128, CodecError> {
        self.array().map(i128::from_le_bytes)
    }

    /// A length or a count.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end, or for one that this machine cannot count; those of the reader.
    pub fn count(&mut self) -> Result<usize, CodecError> {
        let length = self.u64()?;
        usize::try_from(length).map_err(|_| CodecError::damaged(format!("a length of {length}")))
    }

    /// Four bytes, bit for bit.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub fn f32(&mut self) -> Result<f32, CodecError> {
        self.u32().map(f32::from_bits)
    }

    /// Eight bytes, bit for bit.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] at the end; those of the reader.
    pub fn f64(&mut self) -> Result<f64, CodecError> {
        self.u64().map(f64::from_bits)
    }

    /// Bytes with their number before them.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] when there are fewer; those of the reader.
    pub fn bytes(&mut self) -> Result<Vec<u8>, CodecError> {
        let count = self.u64()?;
        self.claim(count, 1)?;
        let mut bytes = Vec::new();
        Read::take(&mut *self.from, count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(CodecError::damaged("they end too early")) }
    }

    /// A text with its length before it.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] when it is shorter or no text; those of the reader.
    pub fn text(&mut self) -> Result<String, CodecError> {
        String::from_utf8(self.bytes()?).map_err(|_| CodecError::damaged("a text that is not UTF-8"))
    }

    /// Numbers bit for bit, their count before them.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] when there are fewer; those of the reader.
    pub fn f32s(&mut self) -> Result<Vec<f32>, CodecError> {
        let count = self.u64()?;
        self.claim(count, 4)?;
        let count = usize::try_from(count).map_err(|_| CodecError::damaged(format!("{count} numbers")))?;
        // A reader may promise more than it has: memory is taken as numbers come.
        let (mut values, mut chunk) = (Vec::new(), [0; CHUNK * 4]);
        while values.len() < count {
            let bytes = &mut chunk[..(count - values.len()).min(CHUNK) * 4];
            self.from.read_exact(bytes)?;
            let numbers = bytes.as_chunks::<4>().0.iter();
            values.extend(numbers.map(|bytes| f32::from_bits(u32::from_le_bytes(*bytes))));
        }
        Ok(values)
    }

    /// What `read` reads, if the byte before it says that there is something.
    ///
    /// # Errors
    /// [`CodecError::Damaged`] for another byte or at the end; those of `read`.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }
}
