//! A tensor whose numbers don't follow each other in its file: a view through strides, of another byte order, or in a
//! compressed stretch. Knows bytes; reads no file.

use super::{dtype::Dtype, info::TensorInfo};
use std::ops::Range;

/// How to find a tensor's numbers. Everything in it was checked against the file when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scattered {
    /// The bytes of the file that hold them.
    pub(crate) stretch: Range<usize>,
    /// How long the stretch is once inflated, if it is compressed.
    pub(crate) inflated: Option<usize>,
    /// The first number's byte in the stretch (inflated, if it is compressed).
    pub(crate) first: usize,
    /// Bytes from one number to the next, per dimension, outermost first.
    pub(crate) strides: Vec<usize>,
    /// Whether each number's bytes stand in the other order.
    pub(crate) swapped: bool,
}

impl Scattered {
    /// The tensor's bytes in order, out of its stretch.
    pub(crate) fn gather(&self, info: &TensorInfo, stretch: &[u8]) -> Vec<u8> {
        let element = info.dtype.block().1;
        let mut out = Vec::with_capacity(info.bytes());
        let (inner, outer) = match (info.shape.split_last(), self.strides.split_last()) {
            (Some((inner, shape)), Some((stride, strides))) => ((*inner, *stride), (shape, strides)),
            _ => ((1, element), (&[][..], &[][..])),
        };
        for_each_start(outer.0, outer.1, self.first, &mut |start| row(stretch, start, inner, element, &mut out));
        if self.swapped {
            let unit = if info.dtype == Dtype::C64 { 4 } else { element };
            out.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        out
    }
}

/// Appends the numbers of one row, `count` of them, `stride` bytes apart.
fn row(stretch: &[u8], start: usize, (count, stride): (usize, usize), element: usize, out: &mut Vec<u8>) {
    if stride == element {
        out.extend_from_slice(&stretch[start..start + count * element]);
        return;
    }
    for at in (0..count).map(|i| start + i * stride) {
        out.extend_from_slice(&stretch[at..at + element]);
    }
}

/// Where each row starts, in row-major order.
fn for_each_start(shape: &[usize], strides: &[usize], first: usize, each: &mut impl FnMut(usize)) {
    if shape.contains(&0) {
        return;
    }
    let (mut index, mut at) = (vec![0; shape.len()], first);
    loop {
        each(at);
        let Some(axis) = (0..shape.len()).rev().find(|axis| index[*axis] + 1 < shape[*axis]) else { return };
        index[axis] += 1;
        at += strides[axis];
        for inner in axis + 1..shape.len() {
            at -= index[inner] * strides[inner];
            index[inner] = 0;
        }
    }
}
