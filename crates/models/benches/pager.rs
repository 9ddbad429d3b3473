//! What taking weights through the pager costs when all of them fit: passes of the bundled UNet over weights that the pager
//! keeps decoded, beside passes over plain tensors of the same numbers, alternating in one run.
//!
//!     cargo bench -p kiln-models --bench pager
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, MemorySource, TensorShapes, TensorSource, WeightFile};
use kiln_models::{
    ModelWeights, detect,
    unet::{Extras, UNet},
};

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    let file: Arc<dyn TensorSource> = WeightFile::open(path).unwrap();
    let (paged, plain) = (unet(file.clone()), unet(Arc::new(decoded(&*file))));
    for (what, side) in [("one 128x128 image and its negative (the main job)", 16), ("64x64", 8)] {
        let (mut a, mut b) = (Duration::MAX, Duration::MAX);
        // Brought here once.
        pass(&paged, side);
        pass(&plain, side);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(8) {
            a = a.min(pass(&paged, side));
            b = b.min(pass(&plain, side));
        }
        let (a, b) = (a.as_secs_f64() * 1e3, b.as_secs_f64() * 1e3);
        println!("{what}: paged {a:.2} ms, plain {b:.2} ms a pass: {:+.2} %", (a / b - 1.0) * 100.0);
    }
}

/// Every tensor decoded to f32: used where it lies, without the pager.
fn decoded(file: &dyn TensorSource) -> MemorySource {
    let mut source = MemorySource::new("plain tensors");
    for name in file.names() {
        let shape = file.info(name).unwrap().shape.clone();
        let mut values = vec![0.0; shape.iter().product()];
        file.read_f32(name, &mut values).unwrap();
        source.insert_f32(name, &shape, values).unwrap();
    }
    source
}

fn unet(source: Arc<dyn TensorSource>) -> UNet {
    let found = detect::unet(&TensorShapes::of(&*source)).unwrap().unwrap();
    found.config.init(&ModelWeights::new(source, found.map, "unet", &Budget::unlimited("host"))).unwrap()
}

fn pass(unet: &UNet, side: usize) -> Duration {
    let device = Device::flex();
    let (x, context) = (Tensor::<4>::ones([2, 4, side, side], &device), Tensor::<3>::ones([2, 77, 64], &device));
    let start = Instant::now();
    drop(unet.forward(x, &[500.0, 500.0], &context, &Extras::default()).unwrap().into_data());
    start.elapsed()
}
