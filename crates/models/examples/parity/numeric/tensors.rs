//! Tensors to and from memory.

use burn::tensor::{Device, Tensor, TensorData};

use crate::case::Trouble;

/// A tensor from values.
pub fn tensor<const D: usize>(values: Vec<f32>, shape: &[usize]) -> Result<Tensor<D>, Trouble> {
    let shape: [usize; D] = shape.try_into().map_err(|_| format!("shape {shape:?} hasn't {D} axes"))?;
    if values.len() != shape.iter().product::<usize>() {
        return Err(format!("{} values don't fill {shape:?}", values.len()).into());
    }
    Ok(Tensor::from_data(TensorData::new(values, shape), &Device::flex()))
}

/// The values of a tensor.
pub fn host<const D: usize>(tensor: &Tensor<D>) -> Result<Vec<f32>, Trouble> {
    Ok(tensor.try_to_vec_as::<f32>().map_err(|error| error.to_string())?)
}
