//! Linear layers and direct convolutions against f64.
#![allow(clippy::unwrap_used)]

mod support;

use kiln_kernels::{Conv, Isa, conv2d, linear};
use support::{Random, assert_near, assert_same_on_any_number_of_threads, sets};

fn linear_oracle(inputs: usize, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let mut out = Vec::new();
    for x in x.chunks(inputs) {
        for (j, weight) in weight.chunks(inputs).enumerate() {
            let sum: f64 = x.iter().zip(weight).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
            out.push(sum + bias.get(j).map_or(0.0, |b| f64::from(*b)));
        }
    }
    out
}

#[test]
fn linear_layers_match_f64_over_random_shapes() {
    let mut random = Random::new(31);
    for round in 0..40 {
        let (rows, inputs, outputs) = (
            random.pick(&[1, 2, 5, 6, 7, 77, 200, 500]),
            random.pick(&[1, 7, 8, 33, 320, 385, 800]),
            random.pick(&[1, 3, 16, 17, 40, 130]),
        );
        let (x, weight) = (random.normal(rows * inputs), random.normal(outputs * inputs));
        let bias = random.normal(if round % 3 == 0 { 0 } else { outputs });
        let expected = linear_oracle(inputs, &x, &weight, &bias);
        for isa in sets() {
            let mut out = vec![1e9; rows * outputs];
            linear(isa, inputs, &x, &weight, &bias, &mut out).unwrap();
            assert_near(&format!("{} {rows}x{inputs}x{outputs}", isa.name()), &out, &expected, 2e-6);
        }
    }
}

fn conv_oracle(sizes: Conv, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let ([height, width], [rows, columns], [tall, wide]) = (sizes.image, sizes.output(), sizes.kernel);
    let [top, _, left, _] = sizes.padding;
    let mut out = Vec::new();
    for (n, o) in (0..sizes.batch).flat_map(|n| (0..sizes.outputs).map(move |o| (n, o))) {
        for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            let mut sum = bias.get(o).map_or(0.0, |b| f64::from(*b));
            for (i, k) in (0..sizes.inputs).flat_map(|i| (0..tall * wide).map(move |k| (i, k))) {
                let (y, x_at) = (r * sizes.stride + k / wide, c * sizes.stride + k % wide);
                let (y, x_at) = (y.wrapping_sub(top), x_at.wrapping_sub(left));
                if y < height && x_at < width {
                    let pixel = x[((n * sizes.inputs + i) * height + y) * width + x_at];
                    sum += f64::from(pixel) * f64::from(weight[(o * sizes.inputs + i) * tall * wide + k]);
                }
            }
            out.push(sum);
        }
    }
    out
}

fn random_conv(random: &mut Random) -> Conv {
    let kernel = random.pick(&[[1, 1], [1, 1], [3, 3], [2, 3], [4, 4]]);
    Conv {
        batch: random.size(1, 3),
        inputs: random.pick(&[1, 3, 8, 50, 400]),
        outputs: random.pick(&[1, 4, 6, 19, 70]),
        image: [random.size(4, 9), random.pick(&[4, 7, 16, 19])],
        kernel,
        stride: random.size(1, 4),
        padding: if kernel == [1, 1] { [0; 4] } else { std::array::from_fn(|_| random.size(0, 3)) },
    }
}

#[test]
fn convolutions_match_f64_over_random_shapes() {
    let mut random = Random::new(32);
    for _ in 0..40 {
        let sizes = random_conv(&mut random);
        let depth = sizes.inputs * sizes.kernel[0] * sizes.kernel[1];
        let x = random.normal(sizes.batch * sizes.inputs * sizes.image[0] * sizes.image[1]);
        let (weight, bias) = (random.normal(sizes.outputs * depth), random.normal(sizes.outputs));
        let expected = conv_oracle(sizes, &x, &weight, &bias);
        for isa in sets() {
            let mut out = vec![1e9; expected.len()];
            conv2d(isa, sizes, &x, &weight, &bias, &mut out).unwrap();
            assert_near(&format!("{} {sizes:?}", isa.name()), &out, &expected, 2e-6);
        }
    }
}

#[test]
fn what_is_not_finite_reaches_its_own_sums_only() {
    let mut random = Random::new(33);
    let (mut x, weight) = (random.normal(9 * 40), random.normal(20 * 40));
    x[2 * 40 + 7] = f32::NAN;
    x[4 * 40] = f32::INFINITY;
    for isa in sets() {
        let mut out = vec![0.0; 9 * 20];
        linear(isa, 40, &x, &weight, &[], &mut out).unwrap();
        for (i, row) in out.chunks(20).enumerate() {
            assert!(row.iter().all(|y| y.is_finite() == (i != 2 && i != 4)), "{} row {i}: {row:?}", isa.name());
        }
    }
}

#[test]
fn wrong_lengths_are_refused() {
    let run = |x: usize, weight: usize, bias: usize, out: usize| {
        linear(Isa::best(), 4, &vec![0.0; x], &vec![0.0; weight], &vec![0.0; bias], &mut vec![0.0; out])
    };
    run(8, 12, 3, 6).unwrap();
    run(0, 12, 3, 0).unwrap();
    assert_eq!(run(7, 12, 3, 6).unwrap_err().argument(), "inputs");
    assert_eq!(run(8, 12, 2, 6).unwrap_err().argument(), "bias");
    assert_eq!(run(8, 12, 3, 5).unwrap_err().to_string(), "linear: out should be 6 elements, found 5 elements");
    assert!(linear(Isa::best(), 0, &[], &[], &[], &mut []).is_err());
    let sizes = Conv { batch: 1, inputs: 1, outputs: 1, image: [2, 2], kernel: [3, 3], stride: 1, padding: [0; 4] };
    assert_eq!(sizes.output(), [0, 0]);
    conv2d(Isa::best(), sizes, &[0.0; 4], &[0.0; 9], &[], &mut []).unwrap();
    assert_eq!(Conv { stride: 0, ..sizes }.output(), [0, 0]);
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut random = Random::new(34);
    for rows in [3, 700] {
        let (x, weight, bias) = (random.normal(rows * 500), random.normal(200 * 500), random.normal(200));
        for isa in sets() {
            assert_same_on_any_number_of_threads(|| {
                let mut out = vec![0.0; rows * 200];
                linear(isa, 500, &x, &weight, &bias, &mut out).unwrap();
                out
            });
        }
    }
}
