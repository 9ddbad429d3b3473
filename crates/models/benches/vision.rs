//! How long seeing takes on the CPU: YOLO-World s at 640 x 640 with 80 classes, EfficientSAM-Ti's image encoder, and each
//! further box. `torch/vision.py` times the same networks in PyTorch. Words on the command line choose rows by name.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Distribution, Tensor};
use kiln_memory::{Budget, ComputedSource, KeyMap, TensorShapes, hash_uniform};
use kiln_models::{
    ActivationTap, ModelWeights,
    detector::{Detector, DetectorConfig, Version},
    segmenter::{Prompt, Segmenter, SegmenterConfig},
};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    println!("{} threads, {}", rayon::current_num_threads(), kiln_kernels::Isa::best().name());
    let device = Device::flex();
    let image = |height, width| Tensor::<4>::random([1, 3, height, width], Distribution::Uniform(0.0, 1.0), &device);
    if chosen("yolo-world") {
        let (detector, image) = (detector(), image(640, 640));
        let text = Tensor::<2>::random([80, 512], Distribution::Normal(0.0, 1.0), &device);
        print("yolo-world v1 s, 640 x 640, 80 classes", || {
            detector.forward(image.clone(), &text, ActivationTap::default()).unwrap();
        });
    }
    if chosen("efficient-sam") {
        let (segmenter, image) = (segmenter(), image(768, 1024));
        let encode = || segmenter.encode(&image, ActivationTap::default()).unwrap();
        let encoder = print("efficient-sam ti, image encoder", || drop(encode()));
        let embedding = encode();
        let prompts = |count: usize| vec![Prompt::corners([100.0, 80.0, 400.0, 300.0]); count];
        let boxes = |count| segmenter.masks(&embedding, &prompts(count)).unwrap();
        let one = print("efficient-sam ti, one box", || drop(boxes(1)));
        let nine = print("efficient-sam ti, nine boxes", || drop(boxes(9)));
        let further = nine.saturating_sub(one).as_secs_f64() / 8.0 / encoder.as_secs_f64();
        println!("{:<40} {:>8.1} % of the encoder", "each further box", further * 100.0);
    }
}

/// Prints the shortest of some runs, after one that brings the weights.
fn print(name: &str, run: impl Fn()) -> Duration {
    run();
    let (mut least, start, mut rounds) = (Duration::MAX, Instant::now(), 0);
    while rounds < 5 || (start.elapsed() < Duration::from_secs(5) && rounds < 50) {
        let began = Instant::now();
        run();
        least = least.min(began.elapsed());
        rounds += 1;
    }
    println!("{name:<40} {:>8.1} ms", least.as_secs_f64() * 1e3);
    least
}

fn weights(names: &TensorShapes) -> ModelWeights {
    let shapes: Vec<(String, Vec<usize>)> =
        names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    let source = ComputedSource::new("computed", shapes, |name, shape, out| {
        hash_uniform(name, shape, out);
        if name.ends_with("running_var") {
            out.fill(1.0);
        }
    });
    ModelWeights::new(Arc::new(source), KeyMap::under(names, ""), "bench", &Budget::unlimited("bench"))
}

fn detector() -> Detector {
    let config = DetectorConfig {
        version: Version::V1,
        channels: [32, 64, 128, 256, 512],
        repeats: [1, 2, 2, 1],
        text_repeats: [1; 4],
        heads: [4, 2, 4, 8],
        text: 512,
        tokens: 256,
        hidden: [64, 128],
        fused: false,
    };
    config.init(&weights(&config.tensors().unwrap())).unwrap()
}

fn segmenter() -> Segmenter {
    let config = SegmenterConfig {
        image: 1024,
        patch: 16,
        width: 192,
        heads: 3,
        blocks: 12,
        mlp: 768,
        positions: 197,
        grid: None,
        decoder: 256,
        decoder_heads: 8,
        cross: 128,
        decoder_layers: 2,
        decoder_mlp: 2048,
        masks: 4,
        upscaled: [64, 32],
    };
    config.init(&weights(&config.tensors().unwrap())).unwrap()
}
