//! Detectors and segmenters of tiny widths against numbers computed elsewhere. Weights are "hash-uniform v1" of their names.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{Budget, ComputedSource, KeyMap, TensorShapes, fill_uniform, hash_uniform};
use kiln_models::{
    ActivationTap, ModelError, ModelWeights,
    detector::{DetectorConfig, Version},
    image::{Planes, Suppression, suppressed},
    segmenter::{Label, Prompt, Segmenter, SegmenterConfig},
};

/// Weights under `prefix` and the network's own keys.
fn weights(names: &TensorShapes, prefix: &'static str, fill: fn(&str, &[usize], &mut [f32])) -> ModelWeights {
    let shapes: Vec<(String, Vec<usize>)> =
        names.iter().map(|(name, shape)| (name.to_owned(), shape.to_vec())).collect();
    let source =
        ComputedSource::new("computed", shapes, move |name, shape, out| fill(&format!("{prefix}{name}"), shape, out));
    ModelWeights::new(Arc::new(source), KeyMap::under(names, ""), "test", &Budget::unlimited("test"))
}

fn det<const D: usize>(name: &str, shape: [usize; D], scale: f32, base: f32) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    fill_uniform(name, base, scale, &mut values);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// Mean, standard deviation, largest absolute value, first, last.
fn five(x: Tensor<1>) -> [f64; 5] {
    let values: Vec<f64> = x.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0);
    let largest = values.iter().fold(0f64, |largest, v| largest.max(v.abs()));
    [mean, variance.sqrt(), largest, values[0], values[values.len() - 1]]
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected.iter().fold(1f64, |largest, v| largest.max(v.abs()));
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(found.len() == expected.len() && worst <= tolerance * largest, "{found:?} instead of {expected:?}");
}

fn detector(version: Version, fused: bool) -> DetectorConfig {
    DetectorConfig {
        version,
        channels: [16, 16, 32, 32, 32],
        repeats: [1; 4],
        text_repeats: [1; 4],
        heads: [1, 2, 1, 2],
        text: 32,
        tokens: if version == Version::V1 { 256 } else { 0 },
        hidden: [64, 80],
        fused,
    }
}

/// By torch 2.6 in f64, from the layers of `benches/torch/vision.py` in these widths, batch norms folded.
#[test]
fn a_tiny_detectors_heads_are_torchs() {
    const HEADS: [[[f64; 5]; 2]; 3] = [
        [[-0.001312, 0.03245, 0.080216, 0.056442, -0.037739], [14.125843, 16.835828, 31.390409, 23.96049, 31.390409]],
        [[-0.001337, 0.030452, 0.072476, 0.023493, -0.015119], [3.885767, 3.230711, 13.059163, 8.17948, -0.22689]],
        [
            [-0.004146, 0.03251, 0.085851, -0.022848, -0.01147],
            [-18.272586, 19.477823, 47.61806, -13.962183, -39.622516],
        ],
    ];
    let config = detector(Version::V1, true);
    let weights = weights(&config.tensors().unwrap(), "", |name, shape, out| {
        hash_uniform(name, shape, out);
        if name.ends_with("logit_scale") {
            out.fill(100f32.ln());
        } else if name.contains(".cv4.") {
            out.fill(-9.0);
        }
    });
    let network = config.init(&weights).unwrap();
    let (image, text) = (det("seeing.image", [1, 3, 64, 96], 0.5, 0.5), det("seeing.text", [3, 32], 1.0, 0.0));
    let found = network.forward(image, &text, ActivationTap::default()).unwrap();
    for ((boxes, logits), [expected_boxes, expected_logits]) in found.into_iter().zip(HEADS) {
        assert_near(&five(boxes.flatten(0, 3)), &expected_boxes, 2e-6);
        assert_near(&five(logits.flatten(0, 3)), &expected_logits, 2e-5);
    }
}

#[test]
fn a_detectors_sizes_are_read_off_names_and_shapes() {
    for version in [Version::V1, Version::V2] {
        for fused in [false, true] {
            let config = detector(version, fused);
            assert_eq!(DetectorConfig::from_names(&config.tensors().unwrap()).unwrap().unwrap(), config);
        }
    }
    assert!(DetectorConfig::from_names(&segmenter().tensors().unwrap()).unwrap().is_none());
}

/// Half of the variances lie below zero: their roots are no numbers.
fn negative_variances(name: &str, shape: &[usize], out: &mut [f32]) {
    hash_uniform(name, shape, out);
    if name.ends_with("running_var") {
        out.iter_mut().step_by(2).for_each(|v| *v = -*v);
    }
}

#[test]
fn what_does_not_fit_a_detector_is_an_error() {
    let config = detector(Version::V2, false);
    let network = config.init(&weights(&config.tensors().unwrap(), "", hash_uniform)).unwrap();
    let text = det("text", [1, 32], 1.0, 0.0);
    let run = |image: [usize; 4], text: &Tensor<2>| {
        network.forward(det("image", image, 0.5, 0.5), text, ActivationTap::default()).unwrap_err()
    };
    for image in [[1, 3, 33, 64], [1, 4, 32, 32], [2, 3, 32, 32]] {
        assert!(matches!(run(image, &text), ModelError::Input { what: "image", .. }), "{image:?}");
    }
    for text in [[1, 31], [0, 32]] {
        let text = Tensor::zeros(text, &Device::flex());
        assert!(matches!(run([1, 3, 32, 32], &text), ModelError::Input { what: "text", .. }));
    }
    let broken = config.init(&weights(&config.tensors().unwrap(), "", negative_variances)).unwrap();
    let scored = broken.scores(det("image", [1, 3, 64, 64], 0.5, 0.5), &text, ActivationTap::default()).unwrap();
    let rule = Suppression { overlap: 0.7, agnostic: false, most: 300 };
    let found = scored.candidates(0.5);
    assert!(found.is_empty(), "{found:?}");
    assert!(suppressed(found, rule).is_empty());
}

/// The reduced EfficientSAM of the reference.
fn segmenter() -> SegmenterConfig {
    SegmenterConfig {
        image: 128,
        patch: 16,
        width: 48,
        heads: 3,
        blocks: 2,
        mlp: 192,
        positions: 197,
        grid: None,
        decoder: 32,
        decoder_heads: 4,
        cross: 16,
        decoder_layers: 2,
        decoder_mlp: 64,
        masks: 4,
        upscaled: [16, 8],
    }
}

fn tiny_segmenter() -> Segmenter {
    let config = segmenter();
    let weights = weights(&config.tensors().unwrap(), "esam_tiny.", |name, shape, out| {
        if name.ends_with("positional_encoding_gaussian_matrix") {
            fill_uniform(name, 0.0, 1.0, out);
        } else if name.ends_with("pos_embed") {
            fill_uniform(name, 0.0, 0.5, out);
        } else {
            hash_uniform(name, shape, out);
        }
    });
    config.init(&weights).unwrap()
}

/// Waves and discs of 50 by 81 pixels, by integers.
fn picture() -> Tensor<4> {
    let (h, w, k) = (50i64, 81i64, 2i64);
    let wave = |n: i64, p: i64| (n.rem_euclid(2 * p) - p).abs() * 255 / p;
    let value = |c: i64, y: i64, x: i64| {
        let mut v =
            i64::midpoint(wave(x * (c + 1) + 2 * y + 40 * k, 97 + 10 * c), wave(3 * y + x + 17 * k * (c + 1), 61));
        for j in 0..6 {
            let (cx, cy, r) = (137 * (j + 1) * (k + 1) % w, 89 * (j + 2) * (k + 3) % h, h.min(w) / (5 + j));
            if (x - cx).pow(2) + (y - cy).pow(2) < r * r {
                v = (60 * j + 85 * c + 31 * k) % 256;
            }
        }
        v as f32 / 255.0
    };
    let values = (0..3).flat_map(|c| (0..h).flat_map(move |y| (0..w).map(move |x| value(c, y, x)))).collect();
    Planes::new([1, 3, 50, 81], values).unwrap().to_tensor(&Device::flex())
}

/// By EfficientSAM's own classes in torch, f32: qualities of three masks, pixels of the best, five numbers of all logits.
#[test]
fn a_tiny_segmenters_masks_are_those_of_the_original() {
    let network = tiny_segmenter();
    let image = network.encode(&picture(), ActivationTap::default()).unwrap();
    let neck = [-0.006_740, 0.972_379, 2.716_554, 1.267_070, -0.700_245];
    assert_near(&five(image.features.clone().flatten(0, 3)), &neck, 2e-6);
    let line: Vec<([f32; 2], Label)> = (1..9u8)
        .zip([1, 1, 0, 1, -1, 1, 1, 1])
        .map(|(i, label)| {
            let label = match label {
                1 => Label::Inside,
                0 => Label::Outside,
                _ => Label::Unused,
            };
            ([8.1 * f32::from(i), 50.0 - 5.0 * f32::from(i)], label)
        })
        .collect();
    let cases = [
        (Prompt::corners([16.2, 12.5, 64.8, 35.0]), [0.468_980, -0.562_047, 0.715_784], 2030),
        (Prompt::inside([[40.5, 20.0]]), [0.566_225, -0.646_629, 0.681_698], 2148),
        (Prompt(line), [0.432_874, -0.410_936, 0.135_257], 1828),
    ];
    let masks = network.masks(&image, &cases.each_ref().map(|case| case.0.clone())).unwrap();
    for ((prompt, quality, pixels), mask) in cases.into_iter().zip(masks) {
        let scores = network.predict(&image, &[prompt], ActivationTap::default()).unwrap();
        let found: Vec<f64> =
            scores.quality.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
        assert_near(&found, &quality, 1e-5);
        let on = mask.iter().filter(|on| **on).count();
        assert!(on.abs_diff(pixels) <= 3, "{on} pixels instead of {pixels}");
    }
}

#[test]
fn a_segmenters_sizes_are_read_off_names_and_shapes() {
    let config = SegmenterConfig { image: 1024, heads: 1, decoder_heads: 8, ..segmenter() };
    assert_eq!(SegmenterConfig::from_names(&config.tensors().unwrap()).unwrap().unwrap(), config);
    let grid = SegmenterConfig { positions: 64 * 64, grid: Some(64), ..config };
    assert_eq!(SegmenterConfig::from_names(&grid.tensors().unwrap()).unwrap().unwrap(), grid);
    assert!(SegmenterConfig::from_names(&detector(Version::V1, false).tensors().unwrap()).unwrap().is_none());
}

#[test]
fn what_does_not_fit_a_segmenter_is_an_error() {
    let network = tiny_segmenter();
    let grey = Tensor::zeros([1, 1, 8, 8], &Device::flex());
    assert!(matches!(network.encode(&grey, ActivationTap::default()), Err(ModelError::Input { .. })));
    let image = network.encode(&picture(), ActivationTap::default()).unwrap();
    assert!(matches!(network.masks(&image, &[Prompt::default()]).map(|masks| masks.len()), Ok(1)));
    assert!(matches!(network.predict(&image, &[], ActivationTap::default()), Err(ModelError::Input { .. })));
}
