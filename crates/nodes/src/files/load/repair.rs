//! A damaged PNG made whole: its checksums computed anew, and zeros where rows are missing.
//!
//! Knows chunks and rows of bytes, no colours.

use flate2::{Compression, Decompress, FlushDecompress, write::ZlibEncoder};
use std::io::Write;

use super::frame::MAX_FRAME_BYTES;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Offsets, strides of the seven passes of an interlaced image: x, y, x step, y step.
const PASSES: [[u32; 4]; 7] =
    [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/// A PNG of what can be read of a damaged one; `None` when that is not a single row.
pub(super) fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let Chunks { header, before, data } = Chunks::of(bytes)?;
    let rows = rows(&header)?;
    let mut pixels = inflated(&data, rows.iter().sum());
    // Whole rows only: the rest of one that was begun belongs to nothing.
    let mut whole = 0;
    for row in &rows {
        if whole + row > pixels.len() {
            break;
        }
        whole += row;
    }
    if whole == 0 {
        return None;
    }
    pixels.truncate(whole);
    pixels.resize(rows.iter().sum(), 0);
    let mut out = SIGNATURE.to_vec();
    push_chunk(&mut out, *b"IHDR", &header);
    for (name, content) in before {
        push_chunk(&mut out, name, content);
    }
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&pixels).ok()?;
    push_chunk(&mut out, *b"IDAT", &packer.finish().ok()?);
    push_chunk(&mut out, *b"IEND", &[]);
    Some(out)
}

/// What is there of a file's chunks.
struct Chunks<'a> {
    header: [u8; 13],
    /// Those before the pixels, without the marks of an animation.
    before: Vec<([u8; 4], &'a [u8])>,
    /// The pixels, packed.
    data: Vec<u8>,
}

impl<'a> Chunks<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(SIGNATURE)?;
        let (mut header, mut before, mut data) = (None, Vec::new(), Vec::new());
        while let Some((head, tail)) = rest.split_first_chunk::<8>() {
            let [a, b, c, d, name @ ..] = *head;
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            // The last chunk may end before its length.
            let content = &tail[..length.min(tail.len())];
            let whole = content.len() == length;
            match &name {
                b"IHDR" => header = content.first_chunk::<13>().copied(),
                b"IDAT" => data.extend_from_slice(content),
                b"IEND" => break,
                b"acTL" | b"fcTL" | b"fdAT" => {}
                _ if data.is_empty() && whole => before.push((name, content)),
                _ => {}
            }
            rest = tail.get(length.saturating_add(4)..).unwrap_or_default();
        }
        Some(Self { header: header?, before, data })
    }
}

/// The bytes of each row in the order of the file, with the one for its filter; `None` for a header without sense.
fn rows(header: &[u8; 13]) -> Option<Vec<usize>> {
    let side = |at: usize| Some(u32::from_be_bytes(*header[at..].first_chunk::<4>()?));
    let (width, height) = (side(0)?, side(4)?);
    let channels = match header[9] {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let bits = u64::from(header[8]) * channels;
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) * 8 > MAX_FRAME_BYTES || bits > 64 {
        return None;
    }
    let passes: &[[u32; 4]] = if header[12] == 0 { &[[0, 0, 1, 1]] } else { &PASSES };
    let mut rows = Vec::new();
    for [x, y, x_step, y_step] in passes {
        let (columns, lines) =
            (width.saturating_sub(*x).div_ceil(*x_step), height.saturating_sub(*y).div_ceil(*y_step));
        if columns > 0 {
            let bytes = usize::try_from((u64::from(columns) * bits).div_ceil(8) + 1).ok()?;
            rows.extend(std::iter::repeat_n(bytes, lines as usize));
        }
    }
    Some(rows)
}

/// What comes out of packed bytes before they end or make no sense any more.
fn inflated(data: &[u8], most: usize) -> Vec<u8> {
    const PART: usize = 1 << 16;
    let (mut unpacker, mut out, mut part) = (Decompress::new(true), Vec::new(), vec![0u8; PART]);
    while out.len() < most {
        let (taken, made) = (unpacker.total_in(), unpacker.total_out());
        let input = data.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or_default();
        let status = unpacker.decompress(input, &mut part, FlushDecompress::None);
        let fresh = usize::try_from(unpacker.total_out() - made).unwrap_or(0);
        out.extend_from_slice(&part[..fresh]);
        let stuck = unpacker.total_in() == taken && fresh == 0;
        if status.is_err() || stuck {
            break;
        }
    }
    out.truncate(most);
    out
}

fn push_chunk(out: &mut Vec<u8>, name: [u8; 4], content: &[u8]) {
    let Ok(length) = u32::try_from(content.len()) else { return };
    let mut checksum = flate2::Crc::new();
    checksum.update(&name);
    checksum.update(content);
    out.extend(length.to_be_bytes());
    out.extend(name);
    out.extend_from_slice(content);
    out.extend(checksum.sum().to_be_bytes());
}
