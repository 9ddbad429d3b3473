//! Weights as burn tensors. Knows burn; decides nothing about what is kept.

use super::{
    error::MemoryError,
    handle::Weight,
    values::{Acquired, Values},
};
use crate::{pager::Pin, provider::Provider};
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Tensor, TensorData};
use std::ops::Range;

/// A weight in use: its tensor, and the hold on its bytes.
///
/// Clones of the tensor share the bytes and hold them too, so a tensor that is kept longer than the guard keeps the
/// weight where it is: drop it after the layer that needed it.
#[derive(Debug)]
pub struct WeightGuard<const D: usize> {
    tensor: Tensor<D>,
    how: Acquired,
}

impl<const D: usize> WeightGuard<D> {
    /// The weight as a tensor of f32. No copy on the CPU.
    pub fn tensor(&self) -> Tensor<D> {
        self.tensor.clone()
    }

    /// Whether it was there, was filled, or is here for this use only.
    pub fn how(&self) -> Acquired {
        self.how
    }
}

impl Weight {
    /// Brings the weight to `device` in its own shape.
    ///
    /// # Errors
    /// [`MemoryError::Shape`] when it doesn't have `D` dimensions; otherwise as [`Weight::read`].
    pub fn acquire<const D: usize>(&self, device: &Device) -> Result<WeightGuard<D>, MemoryError> {
        match <[usize; D]>::try_from(self.shape()) {
            Ok(shape) => self.guard(shape, device),
            Err(_) => Err(self.wrong_shape(format!("{D} dimensions"))),
        }
    }

    /// Brings the weight to `device` in another shape of as many elements: a 1x1 convolution `[O, I, 1, 1]` as the
    /// matrix `[O, I]` of a linear layer, for example.
    ///
    /// # Errors
    /// [`MemoryError::Shape`] when the number of elements differs; otherwise as [`Weight::read`].
    pub fn acquire_as<const D: usize>(
        &self,
        shape: [usize; D],
        device: &Device,
    ) -> Result<WeightGuard<D>, MemoryError> {
        let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if elements == Some(self.elements()) {
            self.guard(shape, device)
        } else {
            Err(self.wrong_shape(format!("{shape:?}")))
        }
    }

    /// Brings some rows (along the first dimension) to `device`, without bringing the others.
    ///
    /// # Shapes
    /// The weight's own shape with the first dimension `rows.len()`.
    /// # Errors
    /// [`MemoryError::Shape`] when it doesn't have `D` dimensions or so many rows; otherwise as [`Weight::read`].
    pub fn acquire_rows<const D: usize>(
        &self,
        rows: Range<usize>,
        device: &Device,
    ) -> Result<WeightGuard<D>, MemoryError> {
        let Ok(mut shape) = <[usize; D]>::try_from(self.shape()) else {
            return Err(self.wrong_shape(format!("{D} dimensions")));
        };
        let values = self.read_rows(rows.clone())?;
        if let Some(first) = shape.first_mut() {
            *first = rows.len();
        }
        Ok(Self::wrap(values, shape, device))
    }

    fn guard<const D: usize>(&self, shape: [usize; D], device: &Device) -> Result<WeightGuard<D>, MemoryError> {
        Ok(Self::wrap(self.read()?, shape, device))
    }

    fn wrap<const D: usize>(values: Values, shape: [usize; D], device: &Device) -> WeightGuard<D> {
        let how = values.how();
        WeightGuard { tensor: over(values.into_shared(), shape, device), how }
    }

    fn wrong_shape(&self, wanted: String) -> MemoryError {
        MemoryError::Shape { weight: self.name().to_owned(), found: self.shape().to_vec(), wanted }
    }
}

impl<P: Provider> Pin<P> {
    /// The unit's bytes as a tensor of f32 that holds the pin: as long as it or a clone of it lives, the unit stays. For
    /// providers whose memory the host can read; on those, burn's CPU backend computes where the bytes lie, and an
    /// operation in place changes a copy.
    ///
    /// # Errors
    /// [`MemoryError::Shape`] when the unit has not as many bytes as the shape needs.
    pub fn into_tensor<const D: usize>(self, shape: [usize; D], device: &Device) -> Result<Tensor<D>, MemoryError> {
        let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
        if elements.and_then(|n| n.checked_mul(4)) != Some(self.len()) {
            let (found, wanted) = (vec![self.len() / 4], format!("{shape:?}"));
            return Err(MemoryError::Shape { weight: format!("{self:?}"), found, wanted });
        }
        Ok(over(bytes::Bytes::from_owner(self), shape, device))
    }
}

/// A tensor over shared bytes of f32, without a copy on the CPU.
fn over<const D: usize>(bytes: bytes::Bytes, shape: [usize; D], device: &Device) -> Tensor<D> {
    let bytes = Bytes::from_shared(bytes, AllocationProperty::File);
    let data = TensorData::from_bytes(bytes, shape, DType::F32);
    Tensor::from_data(data, (device, DType::F32))
}
