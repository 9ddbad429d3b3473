//! Tensors checked against the storages of their file. Knows where storages lie; knows no container.

use super::{
    origin::Origin,
    state::state,
    tensor::{Storage, Tensor},
};
use crate::format::{error::Problem, header::Header, info::TensorInfo, pickle::Pickle, scattered::Scattered};
use std::ops::Range;

/// Where a storage lies in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its bytes of the file.
    pub(super) range: Range<usize>,
    /// How long they are once inflated, if they are compressed.
    pub(super) inflated: Option<usize>,
}

impl Place {
    /// How many bytes it has to be read from.
    pub(super) fn len(&self) -> usize {
        self.inflated.unwrap_or(self.range.len())
    }
}

/// Storages by their keys.
pub(super) trait Storages {
    /// These are going to be asked for.
    fn expect(&self, storages: &mut dyn Iterator<Item = &Storage>);

    /// Where a storage lies.
    ///
    /// # Errors
    /// What is wrong, if it isn't in the file or can't be read.
    fn place(&self, storage: &Storage) -> Result<Place, String>;

    /// Whether its numbers stand highest byte first.
    fn swapped(&self) -> bool;

    /// The length of the file.
    fn file_len(&self) -> usize;
}

/// Bytes that a tensor may have beyond those that the file holds: a view may repeat numbers, a compressed stretch may be
/// longer than it is stored, but not without end.
const REPEATED: usize = 128;
const ANYWAY: usize = 64 << 20;

/// The header of a file: what its pickle names, where it lies in its storages.
pub(super) fn header(pickle: &Pickle<'_>, origin: Origin, storages: &dyn Storages) -> Result<Header, Problem> {
    let problem = |at, tensor: &str, what| Problem::Tensor { at, tensor: tensor.to_owned(), what };
    let found = state(pickle).map_err(|bad| problem(origin.start, &bad.name, bad.what))?;
    storages.expect(&mut found.tensors.iter().map(|(_, tensor)| &tensor.storage));
    let mut header = Header { metadata: found.metadata, ..Header::default() };
    for (name, tensor) in &found.tensors {
        let problem = |what| problem(origin.byte(tensor.at), name, what);
        if header.tensors.contains_key(name) {
            return Err(problem("the name occurs twice".into()));
        }
        place(&mut header, name, tensor, storages).map_err(problem)?;
    }
    Ok(header)
}

/// Puts a tensor into the header.
fn place(header: &mut Header, name: &str, tensor: &Tensor, storages: &dyn Storages) -> Result<(), String> {
    let place = storages.place(&tensor.storage)?;
    let (dtype, element) = (tensor.dtype, tensor.dtype.block().1);
    let elements = tensor.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
    let bytes = elements
        .and_then(|n| n.checked_mul(element))
        .ok_or_else(|| format!("shape {:?} is impossible", tensor.shape))?;
    let most = storages.file_len().saturating_mul(REPEATED).max(ANYWAY);
    if bytes > most || place.len() > most {
        return Err(format!("{} bytes out of a file of {}: a bomb?", bytes.max(place.len()), storages.file_len()));
    }
    let used = used(tensor, element, bytes == 0)?;
    let within = part(&tensor.storage, place.len())?;
    if used.end > within.len() {
        let storage = &tensor.storage.key;
        return Err(format!(
            "its last number ends at byte {} of storage {storage}, which has {}",
            used.end,
            within.len()
        ));
    }
    let (shape, swapped) = (tensor.shape.clone(), storages.swapped() && element > 1);
    let start = within.start + used.start;
    let in_order = place.inflated.is_none() && !swapped && is_contiguous(tensor);
    if in_order {
        let start = place.range.start + start;
        header.tensors.insert(name.to_owned(), TensorInfo { dtype, shape, range: start..start + bytes });
        return Ok(());
    }
    let strides = tensor.strides.iter().map(|stride| stride * element).collect();
    let (stretch, first) = match place.inflated {
        Some(_) => (place.range.clone(), start),
        None => (place.range.start + start..place.range.start + start + used.len(), 0),
    };
    let scattered = Scattered { stretch, inflated: place.inflated, first, strides, swapped };
    header.scattered.insert(name.to_owned(), scattered);
    header.tensors.insert(name.to_owned(), TensorInfo { dtype, shape, range: 0..bytes });
    Ok(())
}

/// The bytes of its storage from its first number to its last.
fn used(tensor: &Tensor, element: usize, empty: bool) -> Result<Range<usize>, String> {
    let far = || format!("strides {:?} of shape {:?} lead beyond every storage", tensor.strides, tensor.shape);
    let start = tensor.offset.checked_mul(element).ok_or_else(far)?;
    if empty {
        return Ok(0..0);
    }
    let steps = tensor.shape.iter().zip(&tensor.strides).map(|(side, stride)| (side - 1).checked_mul(*stride));
    let last = steps.into_iter().try_fold(0usize, |sum, step| sum.checked_add(step?)).ok_or_else(far)?;
    let len = last.checked_add(1).and_then(|n| n.checked_mul(element)).ok_or_else(far)?;
    Ok(start..start.checked_add(len).ok_or_else(far)?)
}

/// The bytes of a storage of `len` bytes that are meant.
fn part(storage: &Storage, len: usize) -> Result<Range<usize>, String> {
    let element = storage.dtype.block().1;
    let bytes = |count: usize| count.checked_mul(element);
    let (first, count) = storage.view.unwrap_or((0, storage.count));
    let range = bytes(first).and_then(|start| Some(start..start.checked_add(bytes(count)?)?));
    range.filter(|range| range.end <= len).ok_or_else(|| {
        format!(
            "storage {} shall have {count} numbers of {}, the file has {len} bytes of it",
            storage.key, storage.dtype
        )
    })
}

/// Whether its numbers follow each other, as row-major ones do.
fn is_contiguous(tensor: &Tensor) -> bool {
    let mut expected = 1usize;
    let empty = tensor.shape.contains(&0);
    let in_place = |(side, stride): (&usize, &usize)| {
        let fits = *side == 1 || *stride == expected;
        expected = expected.saturating_mul(*side);
        fits
    };
    empty || tensor.shape.iter().zip(&tensor.strides).rev().all(in_place)
}
