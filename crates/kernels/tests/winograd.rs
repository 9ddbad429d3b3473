//! 3x3 convolution through Winograd's transforms against a direct sum in f64.
#![allow(clippy::unwrap_used)]

mod support;

use kiln_kernels::{Isa, Winograd, winograd};
use support::{Random, assert_near, assert_same_on_any_number_of_threads, sets};

fn oracle(sizes: Winograd, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let ([height, width], [rows, columns]) = (sizes.image, sizes.output());
    let [top, _, left, _] = sizes.padding;
    let mut out = Vec::new();
    for (n, o) in (0..sizes.batch).flat_map(|n| (0..sizes.outputs).map(move |o| (n, o))) {
        for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            let mut sum = bias.get(o).map_or(0.0, |b| f64::from(*b));
            for (i, k) in (0..sizes.inputs).flat_map(|i| (0..9).map(move |k| (i, k))) {
                let (y, x_at) = ((r + k / 3).wrapping_sub(top), (c + k % 3).wrapping_sub(left));
                if y < height && x_at < width {
                    let pixel = x[((n * sizes.inputs + i) * height + y) * width + x_at];
                    sum += f64::from(pixel) * f64::from(weight[(o * sizes.inputs + i) * 9 + k]);
                }
            }
            out.push(sum);
        }
    }
    out
}

fn inputs(random: &mut Random, sizes: Winograd) -> [Vec<f32>; 3] {
    let pixels = sizes.batch * sizes.inputs * sizes.image[0] * sizes.image[1];
    [random.normal(pixels), random.normal(sizes.outputs * sizes.inputs * 9), random.normal(sizes.outputs)]
}

fn run(isa: Isa, sizes: Winograd, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let [height, width] = sizes.output();
    // Not zero: what the kernel leaves unwritten should show.
    let mut out = vec![1e9; sizes.batch * sizes.outputs * height * width];
    winograd(isa, sizes, x, weight, bias, &mut out).unwrap();
    out
}

#[test]
fn random_shapes_match_f64() {
    let mut random = Random::new(21);
    for _ in 0..40 {
        let sizes = Winograd {
            batch: random.size(1, 4),
            inputs: random.pick(&[1, 3, 7, 8, 16, 17]),
            outputs: random.pick(&[1, 4, 6, 7, 13, 25]),
            image: [random.pick(&[3, 4, 5, 8, 13, 34]), random.pick(&[3, 4, 7, 8, 32, 33, 70])],
            padding: [random.size(0, 2), random.size(0, 2), random.size(0, 3), random.size(0, 2)],
        };
        let [x, weight, bias] = inputs(&mut random, sizes);
        let expected = oracle(sizes, &x, &weight, &bias);
        for isa in sets() {
            let what = format!("{} {sizes:?}", isa.name());
            assert_near(&what, &run(isa, sizes, &x, &weight, &bias), &expected, 6e-6);
        }
    }
}

#[test]
fn many_channels_stay_within_the_tolerance_of_the_models() {
    let mut random = Random::new(22);
    let sizes = Winograd { batch: 1, inputs: 700, outputs: 20, image: [12, 16], padding: [1; 4] };
    let [x, weight, bias] = inputs(&mut random, sizes);
    let expected = oracle(sizes, &x, &weight, &bias);
    for isa in sets() {
        assert_near(isa.name(), &run(isa, sizes, &x, &weight, &bias), &expected, 2e-5);
    }
}

#[test]
fn an_image_of_several_groups_has_no_seams() {
    let mut random = Random::new(23);
    // 68 panels of 16 tiles where a group holds about 55.
    let sizes = Winograd { batch: 1, inputs: 129, outputs: 2, image: [131, 133], padding: [1; 4] };
    let [x, weight, _] = inputs(&mut random, sizes);
    let expected = oracle(sizes, &x, &weight, &[]);
    assert_near("groups", &run(Isa::best(), sizes, &x, &weight, &[]), &expected, 1e-5);
}

#[test]
fn scratch_is_bounded_whatever_the_size() {
    let sizes = Winograd { batch: 4, inputs: 2560, outputs: 1280, image: [512, 512], padding: [1; 4] };
    assert!(sizes.scratch_bytes(2) < 40 << 20, "{}", sizes.scratch_bytes(2));
}

#[test]
fn an_infinite_pixel_spoils_the_tiles_that_see_it_and_no_others() {
    let sizes = Winograd { batch: 1, inputs: 2, outputs: 3, image: [16, 16], padding: [1; 4] };
    let [mut x, weight, bias] = inputs(&mut Random::new(24), sizes);
    x[5 * 16 + 5] = f32::INFINITY;
    for isa in sets() {
        let out = run(isa, sizes, &x, &weight, &bias);
        for (i, y) in out.iter().enumerate() {
            let (row, column) = (i / 16 % 16, i % 16);
            if (4..7).contains(&row) && (4..7).contains(&column) {
                assert!(!y.is_finite(), "{}: {row} {column}", isa.name());
            }
            if row >= 8 || column >= 8 {
                assert!(y.is_finite(), "{}: {row} {column}", isa.name());
            }
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let sizes = Winograd { batch: 1, inputs: 2, outputs: 3, image: [4, 4], padding: [1; 4] };
    let run = |x: usize, weight: usize, bias: usize, out: usize| {
        winograd(Isa::best(), sizes, &vec![0.0; x], &vec![0.0; weight], &vec![0.0; bias], &mut vec![0.0; out])
    };
    run(32, 54, 3, 48).unwrap();
    run(32, 54, 0, 48).unwrap();
    assert_eq!(run(31, 54, 3, 48).unwrap_err().argument(), "x");
    assert_eq!(run(32, 53, 3, 48).unwrap_err().argument(), "weight");
    assert_eq!(run(32, 54, 2, 48).unwrap_err().argument(), "bias");
    assert_eq!(run(32, 54, 3, 47).unwrap_err().argument(), "out");
    let empty = Winograd { image: [1, 4], padding: [0; 4], ..sizes };
    assert_eq!(empty.output(), [0, 2]);
    winograd(Isa::best(), empty, &[0.0; 8], &[0.0; 54], &[], &mut []).unwrap();
}

#[test]
fn threads_do_not_change_a_bit() {
    let sizes = Winograd { batch: 2, inputs: 20, outputs: 50, image: [20, 33], padding: [1; 4] };
    let [x, weight, bias] = inputs(&mut Random::new(25), sizes);
    for isa in sets() {
        assert_same_on_any_number_of_threads(|| run(isa, sizes, &x, &weight, &bias));
    }
}

#[test]
fn calls_within_calls_do_not_share_scratch() {
    use rayon::prelude::*;
    let sizes = Winograd { batch: 1, inputs: 9, outputs: 12, image: [24, 40], padding: [1; 4] };
    let [x, weight, bias] = inputs(&mut Random::new(26), sizes);
    let alone = run(Isa::best(), sizes, &x, &weight, &bias);
    let together: Vec<Vec<f32>> =
        (0..12).into_par_iter().map(|_| run(Isa::best(), sizes, &x, &weight, &bias)).collect();
    assert!(together.iter().all(|out| *out == alone));
}
