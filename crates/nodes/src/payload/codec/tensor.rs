//! Tensors as bytes: dimensions, then values in f32, row-major. Knows no payload.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kiln_exec::{CodecError, Decoder, Encoder, Host};

/// The device on which payloads live that are read back. A service of the host; without it, the CPU.
#[derive(Clone, Debug)]
pub struct TensorDevice(pub Device);

/// Where tensors that are read back live.
pub(super) fn device(host: &Host) -> Device {
    host.get::<TensorDevice>().map_or_else(Device::flex, |service| service.0.clone())
}

/// Writes a tensor of a payload.
pub(super) fn write<const D: usize>(
    socket_type: &str,
    tensor: &Tensor<D>,
    to: &mut Encoder<'_>,
) -> Result<(), CodecError> {
    if tensor.dtype() != DType::F32 {
        let reason = format!("its numbers are {:?}, only f32 is written", tensor.dtype());
        return Err(CodecError::unencodable(socket_type, reason));
    }
    let unreadable = |error: &dyn std::fmt::Debug| {
        CodecError::unencodable(socket_type, format!("its numbers could not be read: {error:?}"))
    };
    let data = tensor.clone().try_into_data().map_err(|error| unreadable(&error))?;
    for dim in tensor.dims() {
        to.count(dim)?;
    }
    Ok(to.f32s(data.as_slice::<f32>().map_err(|error| unreadable(&error))?)?)
}

/// Reads a tensor back.
pub(super) fn read<const D: usize>(from: &mut Decoder<'_>, device: &Device) -> Result<Tensor<D>, CodecError> {
    let mut dims = [0; D];
    for dim in &mut dims {
        *dim = from.count()?;
    }
    let values = from.f32s()?;
    let count = dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim));
    if count != Some(values.len()) {
        return Err(CodecError::damaged(format!("{} values do not make a tensor {dims:?}", values.len())));
    }
    Ok(Tensor::from_data(TensorData::new(values, dims), device))
}
