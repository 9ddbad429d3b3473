//! The envelope: what is written says what it is and in which version, and ends with a digest of itself.
//!
//! ```text
//! "KILNVALS" | version u32 | content … | BLAKE3 over all before, 32 bytes
//! ```
//! So bytes that were cut, changed or written by something else are an error and never another value.

use std::io::{self, Read, Write};

use crate::codec::decoder::Decoder;
use crate::codec::encoder::Encoder;
use crate::codec::error::CodecError;

/// What every envelope begins with.
const MAGIC: [u8; 8] = *b"KILNVALS";
/// The version of the envelope and of what plain values look like in it.
const VERSION: u32 = 1;
/// Bytes of the digest.
const DIGEST: usize = blake3::OUT_LEN;

/// Writes an envelope around what `content` writes.
pub(crate) fn seal(
    to: &mut dyn Write,
    content: impl FnOnce(&mut Encoder<'_>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut hashing = HashingWriter { to, hasher: blake3::Hasher::new() };
    let mut encoder = Encoder::new(&mut hashing);
    encoder.raw(&MAGIC)?;
    encoder.u32(VERSION)?;
    content(&mut encoder)?;
    let digest = hashing.hasher.finalize();
    Ok(to.write_all(digest.as_bytes())?)
}

/// Opens an envelope of `length` bytes: what `content` reads, if all of it is as it was written.
pub(crate) fn open<T>(
    from: &mut dyn Read,
    length: u64,
    content: impl FnOnce(&mut Decoder<'_>) -> Result<T, CodecError>,
) -> Result<T, CodecError> {
    let inner = length.checked_sub(DIGEST as u64).ok_or_else(|| CodecError::damaged("there are too few of them"))?;
    let mut hashing = HashingReader { from, hasher: blake3::Hasher::new() };
    let mut decoder = Decoder::new(&mut hashing, inner);
    begin(&mut decoder)?;
    let found = content(&mut decoder)?;
    if decoder.left() > 0 {
        return Err(CodecError::damaged(format!("{} bytes too many", decoder.left())));
    }
    let own = hashing.hasher.finalize();
    let mut digest = [0; DIGEST];
    from.read_exact(&mut digest)?;
    if own != digest {
        return Err(CodecError::damaged("their digest is another"));
    }
    Ok(found)
}

fn begin(decoder: &mut Decoder<'_>) -> Result<(), CodecError> {
    let mut magic = [0; MAGIC.len()];
    decoder.raw(&mut magic)?;
    if magic != MAGIC {
        return Err(CodecError::damaged("they do not begin as values of Kiln do"));
    }
    match decoder.u32()? {
        VERSION => Ok(()),
        found => Err(CodecError::Version { what: "the whole".into(), found, known: VERSION }),
    }
}

struct HashingWriter<'w> {
    to: &'w mut dyn Write,
    hasher: blake3::Hasher,
}

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct HashingReader<'r> {
    from: &'r mut dyn Read,
    hasher: blake3::Hasher,
}

impl Read for HashingReader<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.hasher.update(&to[..read]);
        Ok(read)
    }
}
