//! f32 tensors in this machine's memory as slices, which is what the kernels take, and back.

use burn::{
    backend::Flex,
    tensor::{Bytes, DType, Shape, Tensor},
};
use burn_flex::{FlexTensor, Layout};

use super::error::OpError;

/// A dense f32 tensor of burn's CPU backend.
pub(super) struct Flat(FlexTensor);

impl Flat {
    /// `x` as a slice, or `x` itself when it lies elsewhere or holds something else than f32: burn's own operator
    /// serves it then.
    #[allow(clippy::result_large_err, reason = "no error, but the tensor itself for the other way")]
    pub(super) fn take<const D: usize>(x: Tensor<D>) -> Result<Self, Tensor<D>> {
        match x.clone().try_into_primitive::<Flex>() {
            Ok(tensor) if tensor.dtype() == DType::F32 => Ok(Self(dense(tensor))),
            _ => Err(x),
        }
    }

    /// An argument whose device and element type were compared with those of a tensor that [`Flat::take`] took.
    pub(super) fn argument<const D: usize>(op: &'static str, x: Tensor<D>) -> Result<Self, OpError> {
        Self::take(x).map_err(|x| OpError::Type {
            op,
            argument: "an argument",
            expected: "F32 on the CPU".into(),
            found: format!("{:?} on {:?}", x.dtype(), x.device()),
        })
    }

    /// All elements, row after row.
    pub(super) fn as_slice(&self) -> &[f32] {
        self.0.as_slice().unwrap_or_default()
    }

    /// Changes the elements where they lie when nobody else holds them, else a copy.
    pub(super) fn change<const D: usize>(self, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
        let mut tensor = self.0;
        let whole = tensor.bytes().len() == size_of::<f32>() * tensor.layout().num_elements();
        if tensor.is_unique() && whole {
            change(tensor.storage_mut());
            return Tensor::from_primitive::<Flex>(tensor);
        }
        let mut elements = tensor.as_slice().unwrap_or_default().to_vec();
        change(&mut elements);
        let layout = Layout::contiguous(tensor.layout().shape().clone());
        Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(elements), layout, DType::F32))
    }
}

fn dense(tensor: FlexTensor) -> FlexTensor {
    // A view into a file may begin at any byte; burn-flex panics at the first access to floats at an odd one.
    let tensor =
        if tensor.bytes().as_ptr().addr().is_multiple_of(align_of::<f32>()) { tensor } else { aligned(&tensor) };
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}

fn aligned(tensor: &FlexTensor) -> FlexTensor {
    let (floats, _) = tensor.bytes().as_chunks::<4>();
    let floats: Vec<f32> = floats.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect();
    FlexTensor::new(Bytes::from_elems(floats), tensor.layout().clone(), DType::F32)
}

/// A tensor on the CPU from its elements, row after row.
pub(super) fn tensor<const D: usize>(elements: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let layout = Layout::contiguous(Shape::from(shape));
    Tensor::from_primitive::<Flex>(FlexTensor::new(Bytes::from_elems(elements), layout, DType::F32))
}
