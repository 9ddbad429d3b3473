//! Weights as burn tensors on the CPU.
#![cfg(feature = "burn")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use burn::tensor::{Device, Tensor};
use kiln_memory::{
    Acquired, Budget, Dtype, Kind, MemorySource, WeightFile, Weights, encode_f32,
    pager::{Acquisition, ContentKey, Pager},
    process_memory,
    provider::{Arena, HostSegments, HostVm},
};
use std::sync::Arc;

fn source() -> MemorySource {
    let mut source = MemorySource::new("m");
    source.insert_f32("conv", &[2, 3, 1, 1], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    source.insert("half", Dtype::F16, &[2, 2], encode_f32(Dtype::F16, &[1.0, 0.5, 0.25, -2.0]).unwrap()).unwrap();
    source
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

#[test]
fn a_weight_becomes_a_tensor_of_its_own_shape_or_of_another_with_as_many_elements() {
    let device = Device::flex();
    let weights = Weights::new(source(), "unet", &Budget::unlimited("host"));
    let conv = weights.weight("conv").unwrap();
    assert_eq!(conv.acquire::<4>(&device).unwrap().tensor().dims(), [2, 3, 1, 1]);
    let linear = conv.acquire_as([2, 3], &device).unwrap();
    assert_eq!(linear.tensor().dims(), [2, 3]);
    assert_eq!(numbers(linear.tensor().transpose()), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let error = conv.acquire::<2>(&device).unwrap_err().to_string();
    assert_eq!(error, "weight `conv` has shape [2, 3, 1, 1], 2 dimensions was asked for");
    assert!(conv.acquire_as([4, 2], &device).is_err());
}

#[test]
fn writing_to_a_weights_tensor_in_place_changes_a_copy_and_never_the_weight() {
    let device = Device::flex();
    let weights = Weights::new(source(), "unet", &Budget::unlimited("host"));
    for name in ["conv", "half"] {
        let weight = weights.weight(name).unwrap();
        let before = weight.read().unwrap().to_vec();
        let doubled = weight.acquire_as([before.len()], &device).unwrap().tensor().mul_scalar(2.0).add_scalar(1.0);
        assert_eq!(numbers(doubled)[0], before[0] * 2.0 + 1.0);
        assert_eq!(weight.read().unwrap()[..], before);
    }
}

#[test]
fn hit_fill_and_stream_give_the_same_numbers() {
    let device = Device::flex();
    for (limit, expected) in [(1 << 20, [Acquired::Fill, Acquired::Hit]), (0, [Acquired::Stream; 2])] {
        let weights = Weights::new(source(), "unet", &Budget::new("host", limit));
        for how in expected {
            let guard = weights.weight("half").unwrap().acquire::<2>(&device).unwrap();
            assert_eq!((guard.how(), numbers(guard.tensor())), (how, vec![1.0, 0.5, 0.25, -2.0]));
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_mapped_f32_weight_is_multiplied_without_a_copy() {
    let (rows, cols) = (4096usize, 4096usize);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.safetensors");
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{rows},{cols}],"data_offsets":[0,{}]}}}}"#, rows * cols * 4);
    let header = format!("{header:width$}", width = header.len().next_multiple_of(8));
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    std::fs::write(&path, &bytes).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((bytes.len() + rows * cols * 4) as u64).unwrap();
    drop(file);
    let weights = Weights::shared(WeightFile::open(&path).unwrap(), "unet", &Budget::new("host", 0));
    let device = Device::flex();
    let x = Tensor::<2>::ones([1, rows], &device);
    let before = process_memory().unwrap();
    let guard = weights.weight("w").unwrap().acquire::<2>(&device).unwrap();
    assert_eq!(guard.how(), Acquired::Hit);
    assert_eq!(numbers(x.matmul(guard.tensor()))[0], 0.0);
    let after = process_memory().unwrap();
    assert!(after.file_backed - before.file_backed > 60 << 20, "it was read through the map");
    assert!(after.anonymous.saturating_sub(before.anonymous) < 40 << 20, "and not copied");
}

#[test]
fn rows_of_a_weight_are_a_tensor_of_their_own() {
    let device = Device::flex();
    let weights = Weights::new(source(), "unet", &Budget::unlimited("host"));
    let rows = weights.weight("half").unwrap().acquire_rows::<2>(1..2, &device).unwrap();
    assert_eq!((rows.tensor().dims(), numbers(rows.tensor())), ([1, 2], vec![0.25, -2.0]));
    let rows = weights.weight("conv").unwrap().acquire_rows::<4>(1..2, &device).unwrap();
    assert_eq!((rows.how(), numbers(rows.tensor())), (Acquired::Hit, vec![4.0, 5.0, 6.0]));
}

/// A pager over an arena of two small segments, with two units of four f32.
fn arena()
-> (Pager<Arena<HostSegments>>, kiln_memory::pager::Vbar<Arena<HostSegments>>, [kiln_memory::pager::UnitId; 2]) {
    let arena = Arena::with_segments(HostSegments::new(Arc::new(HostVm::new())), 1 << 20, 1 << 16);
    let pager = Pager::new(arena, u64::MAX);
    let vbar = pager.register(Budget::unlimited("device").account("unet", Kind::Weights), 8192).unwrap();
    let units = [0, 1].map(|_| vbar.add_unit(16).unwrap());
    for (unit, value) in units.iter().zip([1.5f32, -2.0]) {
        let Acquisition::Fill(vacant) = vbar.acquire(*unit, ContentKey(1)) else { panic!("there is room") };
        let fill = |to: &mut [u8]| {
            to.chunks_exact_mut(4).for_each(|four| four.copy_from_slice(&value.to_le_bytes()));
            Ok(())
        };
        drop(vacant.fill(&mut { fill }).unwrap());
    }
    (pager, vbar, units)
}

#[test]
fn a_range_of_an_arenas_segment_is_a_tensor_and_an_operation_in_place_never_reaches_the_segment() {
    let (_pager, vbar, units) = arena();
    let device = Device::flex();
    let pin = |unit| match vbar.acquire(units[unit], ContentKey(1)) {
        Acquisition::Hit(pin) => pin,
        other => panic!("{other:?}"),
    };
    let address = pin(0).as_ptr();
    let tensor = pin(0).into_tensor([2, 2], &device).unwrap();
    assert_eq!(numbers(tensor.clone().matmul(tensor.clone())), [4.5; 4]);
    let doubled = tensor.mul_scalar(2.0).mul_scalar(2.0).add_scalar(1.0);
    assert_eq!(numbers(doubled), [7.0; 4]);
    let (first, second) = (pin(0), pin(1));
    assert_eq!(first.as_ptr(), address);
    assert_eq!(bytemuck_f32(&first), [1.5; 4], "the trap: multiplied by two in place");
    assert_eq!(bytemuck_f32(&second), [-2.0; 4], "and its neighbour");
    let error = pin(1).into_tensor([3, 2], &device).unwrap_err().to_string();
    assert!(error.contains("has shape [4], [3, 2] was asked for"), "{error}");
}

fn bytemuck_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn i11_a_tensor_that_is_kept_keeps_its_unit_where_it_is() {
    let (pager, vbar, units) = arena();
    let Acquisition::Hit(pin) = vbar.acquire(units[0], ContentKey(1)) else { panic!("resident") };
    let tensor = pin.into_tensor([4], &Device::flex()).unwrap();
    pager.set_limit(0);
    assert_eq!(pager.resident(), 4096, "the other one went");
    assert_eq!(numbers(tensor.clone()), [1.5; 4]);
    drop(tensor);
    assert_eq!(pager.resident(), 0);

    let budget = Budget::new("host", 1 << 20);
    let weights = Weights::new(source(), "unet", &budget);
    let kept = weights.weight("half").unwrap().acquire::<2>(&Device::flex()).unwrap().tensor();
    drop(weights);
    budget.set_limit(0);
    assert_eq!((budget.used(), numbers(kept)), (4096, vec![1.0, 0.5, 0.25, -2.0]));
    assert_eq!(budget.used(), 0);
}
