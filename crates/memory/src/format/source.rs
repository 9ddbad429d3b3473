//! Where tensors come from: names, shapes and bytes, from a file, from memory or from a rule.
//! Knows no budget and no residency.

use super::{
    decode::{DecodeError, decode_f32},
    error::{FormatError, MissingTensor, SourceError},
    info::TensorInfo,
    reading::Reading,
};
use bytes::Bytes;
use std::{ops::Range, sync::Arc, time::Duration};

/// Names, shapes and bytes of tensors, wherever they come from.
///
/// A source may stand over others and change what they hold: rename it, scale it, put one before another. Such a
/// decorator says so in [`inner`](Self::inner), and nothing it leaves out can get lost: what it is told
/// ([`check`](Self::check), [`set_reading`](Self::set_reading), [`touch`](Self::touch), ...) goes on to every source
/// below, and what it is asked for ([`read_f32`](Self::read_f32), [`read_part`](Self::read_part)) is made of its own
/// [`slice`](Self::slice) and `read_f32`, never of a source's below, so that no value comes by unchanged.
pub trait TensorSource: Send + Sync {
    /// The sources that this one stands over; none for one that has its bytes from elsewhere.
    fn inner(&self) -> &[Arc<dyn TensorSource>];

    /// What to call this source in messages: a path, as a rule.
    fn label(&self) -> String;

    /// All names, in the source's own order.
    fn names(&self) -> Vec<&str>;

    /// Shape, storage type and place of a tensor.
    fn info(&self, name: &str) -> Option<&TensorInfo>;

    /// The bytes as stored, if they already lie in memory (or in a map); they are shared, not copied.
    fn slice(&self, name: &str) -> Option<Bytes>;

    /// Decodes a tensor into `out`, row-major.
    ///
    /// # Errors
    /// When there is no such tensor, when `out` has another number of elements, when its storage type has no f32
    /// form, or when the file below has changed.
    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        self.check()?;
        let bytes = self.slice(name).ok_or_else(|| self.missing(name))?;
        decode_f32(info.dtype, &bytes, out).map_err(|error| SourceError::Decode { tensor: name.to_owned(), error })
    }

    /// Decodes some elements of a tensor, counted in row-major order, into `out`: whole blocks, for types that have
    /// them. Without a way to read a part alone, the whole is decoded.
    ///
    /// # Errors
    /// Same as [`read_f32`](Self::read_f32), and when the tensor has not so many elements.
    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        let info = self.info(name).ok_or_else(|| self.missing(name))?;
        let fail = |error| SourceError::Decode { tensor: name.to_owned(), error };
        let (dtype, bytes) = (info.dtype, info.bytes());
        if elements.end > info.elements() || elements.len() != out.len() {
            return Err(fail(DecodeError::Length { dtype, elements: out.len(), bytes }));
        }
        let bounds = dtype.bytes_for(elements.start).zip(dtype.bytes_for(elements.end));
        if let (Some(stored), Some((start, end))) = (self.slice(name), bounds) {
            self.check()?;
            return decode_f32(dtype, &stored[start..end], out).map_err(fail);
        }
        let mut whole = vec![0.0; info.elements()];
        self.read_f32(name, &mut whole)?;
        out.copy_from_slice(&whole[elements]);
        Ok(())
    }

    /// The one number that a stored weight was multiplied by, where it has one. A source that has other names than those
    /// below it asks for theirs.
    ///
    /// # Errors
    /// When that number can't be read.
    fn scale(&self, name: &str) -> Result<Option<f32>, SourceError> {
        for source in self.inner() {
            if let Some(scale) = source.scale(name)? {
                return Ok(Some(scale));
            }
        }
        Ok(None)
    }

    /// Whether what was opened is still there unchanged. Cheap enough to ask before every use.
    ///
    /// # Errors
    /// [`Problem::Changed`](crate::Problem::Changed).
    fn check(&self) -> Result<(), FormatError> {
        self.inner().iter().try_for_each(|source| source.check())
    }

    /// Says how the bytes of tensors shall come from now on, where there is a choice.
    fn set_reading(&self, reading: Reading) {
        self.inner().iter().for_each(|source| source.set_reading(reading));
    }

    /// Says how long a disk may give nothing before a read is given up as stalled, from now on; `None`: for ever.
    fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.inner().iter().for_each(|source| source.set_read_timeout(timeout));
    }

    /// Makes sure that `bytes` of what [`slice`](Self::slice) returns can be read without waiting for a disk. A source
    /// that has other names than those below it asks for theirs.
    ///
    /// # Errors
    /// [`SourceError::Stalled`] when the disk doesn't give them in time.
    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        self.inner().iter().try_for_each(|source| source.touch(name, bytes.clone()))
    }

    /// The bytes of a tensor won't be needed for a while: whatever holds them may let them go. A source that has other
    /// names than those below it says theirs.
    fn done_with(&self, name: &str) {
        self.inner().iter().for_each(|source| source.done_with(name));
    }

    /// The error for a name that isn't here.
    fn missing(&self, name: &str) -> MissingTensor {
        MissingTensor::new(name, self.label(), self.names().into_iter())
    }
}
