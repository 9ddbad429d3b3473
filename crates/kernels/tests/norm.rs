//! Normalisations against f64, over odd sizes and unkind data.
#![allow(clippy::unwrap_used)]

mod support;

use kiln_kernels::{Angles, GroupNorm, Isa, Pairs, add_gated, group_norm, layer_norm, rms_norm, rotate};
use support::{Random, assert_near, assert_same_on_any_number_of_threads, sets};

fn oracle(sizes: GroupNorm, x: &[f32], gamma: &[f32], beta: &[f32]) -> Vec<f64> {
    let per_group = sizes.channels / sizes.groups;
    let mut out = Vec::with_capacity(x.len());
    for (i, group) in x.chunks(per_group * sizes.pixels).enumerate() {
        let (mean, deviation) = moments(group, sizes.eps);
        for (j, x) in group.iter().enumerate() {
            let channel = i % sizes.groups * per_group + j / sizes.pixels;
            let y = (f64::from(*x) - mean) / deviation * f64::from(gamma[channel]) + f64::from(beta[channel]);
            out.push(if sizes.silu { support::silu(y) } else { y });
        }
    }
    out
}

fn moments(x: &[f32], eps: f64) -> (f64, f64) {
    let count = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
    (mean, (variance + eps).sqrt())
}

#[test]
fn group_norm_matches_f64_over_random_shapes() {
    let mut random = Random::new(1);
    for round in 0..24 {
        let groups = random.pick(&[1, 2, 3, 8]);
        let channels = groups * random.size(1, 5);
        let (batch, pixels) = (random.size(1, 4), random.pick(&[1, 7, 64, 100, 1021, 5000]));
        let sizes = GroupNorm { channels, pixels, groups, eps: 1e-5, silu: round % 2 == 0 };
        let x = random.normal(batch * channels * pixels);
        let (gamma, beta) = (random.normal(channels), random.normal(channels));
        let expected = oracle(sizes, &x, &gamma, &beta);
        for isa in sets() {
            let mut y = vec![0.0; x.len()];
            group_norm(isa, sizes, &x, &gamma, &beta, &mut y).unwrap();
            assert_near(&format!("{} {sizes:?} batch {batch}", isa.name()), &y, &expected, 1e-6);
        }
    }
}

#[test]
fn a_mean_far_from_zero_does_not_cost_the_variance() {
    let mut random = Random::new(2);
    let sizes = GroupNorm { channels: 4, pixels: 3000, groups: 2, eps: 1e-6, silu: false };
    let mut x: Vec<f32> = random.normal(12_000).iter().map(|x| x + 1000.0).collect();
    x[0] = -5000.0;
    let expected = oracle(sizes, &x, &[1.0; 4], &[0.0; 4]);
    for isa in sets() {
        let mut y = vec![0.0; x.len()];
        group_norm(isa, sizes, &x, &[1.0; 4], &[0.0; 4], &mut y).unwrap();
        assert_near(isa.name(), &y, &expected, 2e-6);
    }
}

#[test]
fn layer_norm_matches_f64_for_every_remainder_of_eight() {
    let mut random = Random::new(4);
    for width in (1..=20).chain([77, 320, 1280, 4099]) {
        let rows = random.size(1, 80);
        let x = random.normal(rows * width);
        let (gamma, beta) = (random.normal(width), random.normal(width));
        let mut expected = Vec::new();
        for row in x.chunks(width) {
            let (mean, deviation) = moments(row, 1e-5);
            let normal = row.iter().map(|x| (f64::from(*x) - mean) / deviation);
            expected.extend(normal.zip(gamma.iter().zip(&beta)).map(|(x, (g, b))| x * f64::from(*g) + f64::from(*b)));
        }
        for isa in sets() {
            let mut y = vec![0.0; x.len()];
            layer_norm(isa, &x, &gamma, &beta, 1e-5, &mut y).unwrap();
            // Two nearly equal elements: their distance has lost digits before the kernel sees it.
            let tolerance = if width < 4 { 1e-4 } else { 1e-6 };
            assert_near(&format!("{} {rows}x{width}", isa.name()), &y, &expected, tolerance);
        }
    }
}

#[test]
fn rms_norm_matches_f64_for_every_remainder_of_eight() {
    let mut random = Random::new(14);
    for width in (1..=20).chain([77, 128, 3840, 4099]) {
        let rows = random.size(1, 80);
        let (x, gamma) = (random.normal(rows * width), random.normal(width));
        let mut expected = Vec::new();
        for row in x.chunks(width) {
            let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
            let scale = 1.0 / (mean + 1e-6).sqrt();
            expected.extend(row.iter().zip(&gamma).map(|(x, g)| f64::from(*x) * scale * f64::from(*g)));
        }
        for isa in sets() {
            let mut y = vec![0.0; x.len()];
            rms_norm(isa, &x, &gamma, 1e-6, &mut y).unwrap();
            assert_near(&format!("{} {rows}x{width}", isa.name()), &y, &expected, 1e-6);
        }
    }
    assert!(rms_norm(Isa::best(), &[0.0; 10], &[1.0; 4], 1e-6, &mut [0.0; 10]).is_err());
}

#[test]
fn pairs_of_each_head_are_turned_by_the_angles_of_their_token() {
    let mut random = Random::new(15);
    for (batch, tokens, heads, half) in [(1, 1, 1, 1), (2, 3, 2, 4), (1, 40, 3, 24), (2, 300, 2, 64)] {
        let width = heads * 2 * half;
        let x = random.normal(batch * tokens * width);
        let angles: Vec<f64> = random.normal(tokens * half).iter().map(|a| f64::from(*a) * 9.0).collect();
        let cos: Vec<f32> = angles.iter().map(|a| a.cos() as f32).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin() as f32).collect();
        for pairs in [Pairs::Neighbours, Pairs::Halves] {
            let mut expected = vec![0.0; x.len()];
            for i in 0..x.len() / 2 {
                let (row, j) = (i / (heads * half), i % half);
                let head = row * width + i / half % heads * 2 * half;
                let (a, b) = match pairs {
                    Pairs::Neighbours => (head + 2 * j, head + 2 * j + 1),
                    Pairs::Halves => (head + j, head + j + half),
                };
                let (sin, cos) = angles[row % tokens * half + j].sin_cos();
                expected[a] = f64::from(x[a]) * cos - f64::from(x[b]) * sin;
                expected[b] = f64::from(x[a]) * sin + f64::from(x[b]) * cos;
            }
            for isa in sets() {
                let mut y = x.clone();
                rotate(isa, &mut y, width, Angles { half, cos: &cos, sin: &sin }, pairs).unwrap();
                assert_near(&format!("{} {pairs:?} {tokens}x{width}", isa.name()), &y, &expected, 1e-6);
            }
        }
    }
    let angles = Angles { half: 2, cos: &[1.0; 4], sin: &[0.0; 4] };
    assert!(rotate(Isa::best(), &mut [0.0; 24], 6, angles, Pairs::Halves).is_err());
    assert!(rotate(Isa::best(), &mut [0.0; 12], 4, angles, Pairs::Halves).is_err());
}

#[test]
fn a_gate_belongs_to_its_sample() {
    let mut random = Random::new(16);
    for (batch, tokens, width) in [(1, 1, 1), (2, 3, 7), (3, 100, 33)] {
        let (x, y) = (random.normal(batch * tokens * width), random.normal(batch * tokens * width));
        let gate = random.normal(batch * width);
        let of = |i: usize| f64::from(gate[i / (tokens * width) * width + i % width]);
        let expected: Vec<f64> = (0..x.len()).map(|i| f64::from(x[i]) + of(i) * f64::from(y[i])).collect();
        for isa in sets() {
            let mut sum = x.clone();
            add_gated(isa, &mut sum, &y, &gate, width).unwrap();
            assert_near(&format!("{} {batch}x{tokens}x{width}", isa.name()), &sum, &expected, 1e-6);
        }
    }
    assert!(add_gated(Isa::best(), &mut [0.0; 6], &[0.0; 6], &[0.0; 4], 2).is_err());
}

#[test]
fn an_infinite_pixel_makes_its_group_nan_and_no_other() {
    let sizes = GroupNorm { channels: 2, pixels: 9, groups: 2, eps: 1e-5, silu: false };
    let mut x = Random::new(6).normal(18);
    x[3] = f32::INFINITY;
    for isa in sets() {
        let mut y = vec![0.0; 18];
        group_norm(isa, sizes, &x, &[1.0; 2], &[0.0; 2], &mut y).unwrap();
        assert!(y[..9].iter().all(|y| y.is_nan()), "{}: {y:?}", isa.name());
        assert!(y[9..].iter().all(|y| y.is_finite()), "{}: {y:?}", isa.name());
    }
}

#[test]
fn groups_that_do_not_divide_the_channels_are_refused() {
    let sizes = GroupNorm { channels: 6, pixels: 4, groups: 4, eps: 1e-5, silu: false };
    let error = group_norm(Isa::best(), sizes, &[0.0; 24], &[1.0; 6], &[0.0; 6], &mut [0.0; 24]).unwrap_err();
    assert_eq!(error.to_string(), "group_norm: groups should be a divisor of 6, found 4");
    assert_eq!((error.kernel(), error.argument()), ("group_norm", "groups"));
    assert!(layer_norm(Isa::best(), &[0.0; 10], &[1.0; 4], &[0.0; 4], 1e-5, &mut [0.0; 10]).is_err());
}

#[test]
fn an_empty_batch_is_no_error() {
    let sizes = GroupNorm { channels: 2, pixels: 4, groups: 1, eps: 1e-5, silu: true };
    group_norm(Isa::best(), sizes, &[], &[1.0; 2], &[0.0; 2], &mut []).unwrap();
    layer_norm(Isa::best(), &[], &[1.0; 2], &[0.0; 2], 1e-5, &mut []).unwrap();
}

#[test]
fn threads_do_not_change_a_bit() {
    let sizes = GroupNorm { channels: 32, pixels: 777, groups: 8, eps: 1e-5, silu: true };
    let x = Random::new(8).normal(2 * 32 * 777);
    for isa in sets() {
        assert_same_on_any_number_of_threads(|| {
            let mut y = vec![0.0; x.len()];
            group_norm(isa, sizes, &x, &[1.0; 32], &[0.5; 32], &mut y).unwrap();
            y
        });
    }
}
