//! Functions of one element against f64, over the whole range where they do something.
#![allow(clippy::unwrap_used)]

mod support;

use kiln_kernels::{geglu, gelu, gelu_tanh, leaky_relu, quick_gelu, silu, silu_product, softmax, swiglu};
use support::{Random, assert_near, assert_same_on_any_number_of_threads, sets};

/// Small and large numbers of both signs, an odd number of them.
fn line() -> Vec<f32> {
    (-4003..4004).map(|i| i as f32 * 0.0131).collect()
}

fn assert_function(f: impl Fn(f64) -> f64, run: impl Fn(kiln_kernels::Isa, &mut [f32]), tolerance: f64) {
    for isa in sets() {
        let x = line();
        let mut y = x.clone();
        run(isa, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let expected = f(f64::from(x));
            let allowed = tolerance * expected.abs().max(1e-12);
            assert!((f64::from(y) - expected).abs() <= allowed, "{}: f({x}) = {y}, expected {expected}", isa.name());
        }
    }
}

#[test]
fn silu_keeps_its_digits_everywhere() {
    assert_function(support::silu, silu, 6e-7);
}

#[test]
fn quick_gelu_keeps_its_digits_everywhere() {
    assert_function(|x| x / (1.0 + (-1.702 * x).exp()), quick_gelu, 4e-6);
}

#[test]
fn gelu_by_tanh_follows_its_formula() {
    for isa in sets() {
        let x = line();
        let mut y = x.clone();
        gelu_tanh(isa, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let wide = f64::from(x);
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            let expected = 0.5 * wide * (1.0 + inner.tanh());
            let difference = (f64::from(y) - expected).abs();
            assert!(difference <= 3e-7 * wide.abs().max(1e-6), "{}: f({x}) = {y}, not {expected}", isa.name());
        }
    }
}

#[test]
fn gates_multiply_by_the_silu_of_the_first_half() {
    let mut random = Random::new(13);
    for isa in sets() {
        for (rows, width) in [(1, 1), (3, 7), (5, 8), (130, 33), (2, 1280)] {
            let x = random.normal(rows * 2 * width);
            let row = |i: usize| i / width * 2 * width + i % width;
            let gates: Vec<f32> = (0..rows * width).map(|i| x[row(i)]).collect();
            let values: Vec<f32> = (0..rows * width).map(|i| x[row(i) + width]).collect();
            let product = |(gate, value): (&f32, &f32)| support::silu(f64::from(*gate)) * f64::from(*value);
            let expected: Vec<f64> = gates.iter().zip(&values).map(product).collect();
            let mut y = vec![0.0; rows * width];
            swiglu(isa, &x, width, &mut y).unwrap();
            assert_near(&format!("{} swiglu {rows}x{width}", isa.name()), &y, &expected, 4e-7);
            let mut y = gates.clone();
            silu_product(isa, &mut y, &values).unwrap();
            assert_near(&format!("{} silu_product {rows}x{width}", isa.name()), &y, &expected, 4e-7);
        }
    }
    let error = silu_product(kiln_kernels::Isa::best(), &mut [0.0; 3], &[0.0; 2]).unwrap_err();
    assert_eq!(error.to_string(), "silu_product: factor should be 3 elements, found 2 elements");
}

#[test]
fn gelu_follows_the_error_function() {
    for isa in sets() {
        let x = line();
        let mut y = x.clone();
        gelu(isa, &mut y);
        for (&x, &y) in x.iter().zip(&y) {
            let expected = support::gelu(f64::from(x));
            let difference = (f64::from(y) - expected).abs();
            assert!(
                difference <= 3e-7 * f64::from(x).abs().max(1e-6),
                "{}: gelu({x}) = {y}, not {expected}",
                isa.name()
            );
            if (-5.0..-0.5).contains(&x) {
                assert!(difference <= 4e-6 * expected.abs(), "the tail: gelu({x}) = {y}, not {expected}");
            }
        }
    }
}

#[test]
fn leaky_relu_scales_what_is_negative() {
    for isa in sets() {
        let mut x = vec![-2.0, -0.0, 0.0, 3.0, -1e-3, 5.0, -8.0, 1.0, -4.0];
        leaky_relu(isa, &mut x, 0.25);
        assert_eq!(x, [-0.5, -0.0, 0.0, 3.0, -2.5e-4, 5.0, -2.0, 1.0, -1.0]);
    }
}

#[test]
fn a_gate_multiplies_the_first_half_by_the_gelu_of_the_second() {
    let mut random = Random::new(3);
    for isa in sets() {
        for (rows, width) in [(1, 1), (3, 7), (5, 8), (130, 33), (2, 1280)] {
            let x = random.normal(rows * 2 * width);
            let mut y = vec![0.0; rows * width];
            geglu(isa, &x, width, &mut y).unwrap();
            let expected: Vec<f64> = (0..rows * width)
                .map(|i| {
                    let (row, column) = (i / width * 2 * width, i % width);
                    f64::from(x[row + column]) * support::gelu(f64::from(x[row + width + column]))
                })
                .collect();
            assert_near(&format!("{} geglu {rows}x{width}", isa.name()), &y, &expected, 4e-7);
        }
    }
}

#[test]
fn a_gate_of_the_wrong_length_is_refused() {
    let error = geglu(kiln_kernels::Isa::best(), &[0.0; 7], 2, &mut [0.0; 4]).unwrap_err();
    assert_eq!(error.to_string(), "geglu: x should be 8 elements, found 7 elements");
    assert!(geglu(kiln_kernels::Isa::best(), &[], 0, &mut []).is_err());
}

#[test]
fn softmax_rows_sum_to_one_and_match_f64() {
    let mut random = Random::new(5);
    for isa in sets() {
        for (rows, width) in [(1, 1), (4, 77), (3, 1030), (40, 513)] {
            let x: Vec<f32> = random.normal(rows * width).iter().map(|x| x * 8.0).collect();
            let mut y = x.clone();
            softmax(isa, &mut y, width).unwrap();
            let expected: Vec<f64> = x.chunks(width).flat_map(softmax_of).collect();
            assert_near(&format!("{} softmax {rows}x{width}", isa.name()), &y, &expected, 1e-6);
        }
    }
}

fn softmax_of(row: &[f32]) -> Vec<f64> {
    let largest = f64::from(row.iter().fold(f32::MIN, |a, b| a.max(*b)));
    let powers: Vec<f64> = row.iter().map(|x| (f64::from(*x) - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|p| p / total).collect()
}

#[test]
fn what_is_not_finite_comes_out_as_in_torch() {
    for isa in sets() {
        let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        silu(isa, &mut x);
        assert!(x[0].is_nan() && x[1] == f32::INFINITY && x[2].is_nan(), "{}: silu {x:?}", isa.name());
        let mut x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        gelu(isa, &mut x);
        assert!(x[0].is_nan() && x[1] == f32::INFINITY && x[2].is_nan(), "{}: gelu {x:?}", isa.name());
        let mut x = [1.0, f32::NAN, 2.0, 1.0, f32::NEG_INFINITY, 1.0, f32::INFINITY, 0.0, 0.0];
        softmax(isa, &mut x, 3).unwrap();
        assert!(x[..3].iter().all(|x| x.is_nan()) && x[6..].iter().all(|x| x.is_nan()), "{}: {x:?}", isa.name());
        assert_eq!(x[3..6], [0.5, 0.0, 0.5]);
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let x = Random::new(9).normal(100_003);
    for isa in sets() {
        assert_same_on_any_number_of_threads(|| {
            let mut y = x.clone();
            gelu(isa, &mut y);
            y
        });
    }
}
