//! Kernels against burn's own operators, and what is refused.
#![allow(clippy::unwrap_used)]

use burn::tensor::{Device, Distribution, Tensor, activation as stock, module};

use super::*;

fn cpu() -> Device {
    Device::flex()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &cpu())
}

/// The largest difference stays below a hundred thousandth of the largest element.
fn assert_near<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims());
    let largest = expected.clone().abs().max().into_scalar::<f32>();
    let distance = (found - expected).abs().max().into_scalar::<f32>();
    assert!(distance <= 1e-5 * largest, "{distance:e} apart, the largest element is {largest}");
}

#[test]
fn activations_are_those_of_burn() {
    let x = random([3, 5, 13]) * 3.0;
    assert_near(silu(x.clone()).unwrap(), stock::silu(x.clone()));
    assert_near(gelu(x.clone()).unwrap(), stock::gelu(x.clone()));
    assert_near(quick_gelu(x.clone()).unwrap(), x.clone() * stock::sigmoid(x.clone() * 1.702));
    assert_near(leaky_relu(x.clone(), 0.2).unwrap(), stock::leaky_relu(x.clone(), 0.2));
    assert_near(softmax(x.clone()).unwrap(), stock::softmax(x.clone(), 2));
}

#[test]
fn an_activation_leaves_other_holders_of_its_input_alone() {
    let x = random([4, 9]);
    let before = x.clone().into_data();
    let y = silu(x.clone()).unwrap();
    assert_eq!(x.into_data(), before);
    assert_ne!(y.into_data(), before);
}

#[test]
fn views_give_the_same_as_copies() {
    let x = random([5, 7, 12]);
    let turned = x.clone().swap_dims(0, 1);
    assert_near(gelu(turned.clone()).unwrap(), stock::gelu(turned));
    let part = x.clone().narrow(0, 2, 2);
    assert_near(silu(part.clone()).unwrap(), stock::silu(part));
    let inner = x.narrow(2, 3, 6);
    assert_near(geglu(inner.clone()).unwrap(), super::activation::stock_geglu(inner, 3));
}

#[test]
fn norms_are_those_of_burn() {
    let x = random([2, 12, 5, 7]).swap_dims(2, 3);
    let (gamma, beta) = (random([12]), random([12]));
    for silu in [false, true] {
        let expected = norm::stock_group_norm(x.clone(), gamma.clone(), beta.clone(), 4, 1e-5, silu);
        assert_near(group_norm(x.clone(), gamma.clone(), beta.clone(), 4, 1e-5, silu).unwrap(), expected);
    }
    let x = random([2, 9, 12]);
    let expected = module::layer_norm(x.clone(), gamma.clone(), Some(beta.clone()), 1e-5);
    assert_near(layer_norm(x, gamma, beta, 1e-5).unwrap(), expected);
}

#[test]
fn gates_and_norms_of_transformers_are_their_formulas() {
    let x = random([2, 5, 12]);
    assert_near(gelu_tanh(x.clone()).unwrap(), super::activation::stock_gelu_tanh(x.clone()));
    let (gate, value) = (x.clone().narrow(2, 0, 6), x.clone().narrow(2, 6, 6));
    let expected = stock::silu(gate.clone()) * value.clone();
    assert_near(swiglu(x.clone()).unwrap(), expected.clone());
    assert_near(silu_product(gate, value).unwrap(), expected);
    for width in [4, 12] {
        let gamma = random([width]);
        let expected = super::norm::stock_rms_norm(x.clone(), gamma.clone(), 1e-6);
        assert_near(rms_norm(x.clone(), gamma, 1e-6).unwrap(), expected);
    }
    let (y, shift, scale) = (random([2, 5, 12]), random([2, 12]), random([2, 12]));
    let expected = super::norm::stock_modulated_norm(x.clone(), shift.clone(), scale.clone() + 1.0, 1e-6);
    assert_near(modulated_norm(x.clone(), shift.clone(), scale, 1e-6).unwrap(), expected);
    let expected = x.clone() + y.clone() * shift.clone().unsqueeze_dim(1);
    assert_near(add_gated(x.clone(), y.clone(), shift).unwrap(), expected);
    assert!(add_gated(x.clone(), y, random([1, 12])).is_err());
    assert!(rms_norm(x, random([5]), 1e-6).is_err());
}

#[test]
fn rotary_positions_turn_what_the_formula_turns() {
    let positions = [0.0, 0.0, 1.0, 2.0, 3.0, 5.0];
    let rotary = Rotary::of_axes(&positions, &[4, 6], 100.0).unwrap();
    let (cos, sin) = rotary.table();
    assert_eq!((rotary.tokens(), cos.len(), cos[0], sin[0]), (3, 15, 1.0, 0.0));
    // The last token's second pair of the second axis: position 5, rate 100^(-2/6).
    let angle = 5.0 * 100f64.powf(-1.0 / 3.0);
    assert!((f64::from(cos[13]) - angle.cos()).abs() < 1e-7 && (f64::from(sin[13]) - angle.sin()).abs() < 1e-7);
    let x = random([2, 3, 20]);
    for pairs in [Pairs::Neighbours, Pairs::Halves] {
        assert_near(rotary.turn(x.clone(), pairs).unwrap(), rotary.stock(x.clone(), pairs));
    }
    let row = Rotary::of_row(&[0.0, 3.0], 8, 1e6);
    assert_eq!(row.table().0[4..6], [3f32.cos(), (3.0 * (1.0 / 1e6f64.powf(0.25) as f32)).cos()]);
    assert!(rotary.turn(random([2, 4, 20]), Pairs::Halves).is_err());
    assert!(Rotary::of_axes(&positions, &[3, 6], 100.0).is_err());
}

#[test]
fn attention_is_that_of_burn() {
    for (keys, mask) in [(19, Mask::Causal), (19, Mask::None), (77, Mask::None)] {
        let (q, k, v) = (random([2, 19, 24]), random([2, keys, 24]), random([2, keys, 24]));
        let expected = super::attention::stock(q.clone(), k.clone(), v.clone(), 3, mask);
        assert_near(attention(q, k, v, 3, mask).unwrap(), expected);
    }
}

#[test]
fn attention_takes_the_parts_of_one_packed_product() {
    let packed = random([2, 19, 72]);
    let part = |i: usize| packed.clone().narrow(2, i * 24, 24);
    let expected = super::attention::stock(part(0), part(1), part(2), 3, Mask::None);
    assert_near(attention(part(0), part(1), part(2), 3, Mask::None).unwrap(), expected);
}

#[test]
fn linear_multiplies_by_the_transposed_weight() {
    let (x, weight, bias) = (random([2, 5, 7]), random([3, 7]), random([3]));
    let expected = module::linear(x.clone(), weight.clone().transpose(), Some(bias.clone()));
    assert_near(linear(x, weight, Some(bias)).unwrap(), expected);
}

#[test]
fn convolution_pads_each_side_as_told() {
    let (x, weight) = (random([1, 2, 6, 5]), random([3, 2, 3, 3]));
    let padding = Padding { bottom: 1, right: 1, ..Padding::default() };
    let y = conv2d(x.clone(), weight.clone(), None, 2, padding).unwrap();
    assert_eq!(y.dims(), [1, 3, 3, 2]);
    // Pixel (1, 1) of the result looks at rows 2..5 and columns 2..5, all inside of the image.
    let window = x.slice(burn::tensor::s![.., .., 2..5, 2..5]);
    assert_near(
        y.slice(burn::tensor::s![.., .., 1..2, 1..2]),
        (window.repeat_dim(0, 3) * weight).sum_dims(&[1, 2, 3]).swap_dims(0, 1),
    );
}

#[test]
fn wide_convolutions_are_those_of_burn() {
    let (x, weight, bias) = (random([2, 40, 13, 18]), random([24, 40, 3, 3]) * 0.1, random([24]));
    for padding in [Padding::from(1), Padding::from(0), Padding { bottom: 1, right: 2, ..Padding::default() }] {
        let expected = super::conv::stock(x.clone(), weight.clone(), Some(bias.clone()), 1, padding);
        assert_near(conv2d(x.clone(), weight.clone(), Some(bias.clone()), 1, padding).unwrap(), expected);
        let expected = super::conv::stock(x.clone(), weight.clone(), None, 1, padding);
        assert_near(conv2d(x.clone(), weight.clone(), None, 1, padding).unwrap(), expected);
    }
}

#[test]
fn other_convolutions_are_those_of_burn() {
    for (kernel, stride, side) in [(1, 1, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2)] {
        let (x, weight, bias) = (random([2, 9, 11, 10]), random([7, 9, kernel, kernel]), random([7]));
        let expected = super::conv::stock(x.clone(), weight.clone(), Some(bias.clone()), stride, side.into());
        assert_near(conv2d(x, weight, Some(bias), stride, side).unwrap(), expected);
    }
}

#[test]
fn pixels_move_where_torch_moves_them() {
    let x = Tensor::<1>::from_floats([0.0, 1.0, 2.0, 3.0], &cpu());
    let shuffled = pixel_shuffle(x.clone().reshape([1, 4, 1, 1]), 2).unwrap();
    assert_eq!(shuffled.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0]);
    let many = random([2, 18, 2, 5]);
    let back = pixel_unshuffle(pixel_shuffle(many.clone(), 3).unwrap(), 3).unwrap();
    assert_eq!(back.into_data(), many.clone().into_data());
    assert!(pixel_unshuffle(many, 2).is_err(), "2 does not divide 5");
    let grown = upsample_nearest(x.reshape([1, 1, 2, 2]), 3, 4).unwrap();
    let expected = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0];
    assert_eq!(grown.into_data().try_to_vec::<f32>().unwrap(), expected);
}

#[test]
fn nearest_neighbours_are_the_same_on_every_device() {
    let x = random([2, 3, 5, 7]);
    for [height, width] in [[10, 14], [3, 20], [5, 7], [13, 4]] {
        let expected = super::resize::stock(x.clone(), height, width);
        assert_eq!(upsample_nearest(x.clone(), height, width).unwrap().into_data(), expected.into_data());
    }
}

#[test]
fn what_does_not_fit_is_named_before_burn_sees_it() {
    let error = linear(random([1, 2, 4]), random([3, 5]), None).unwrap_err();
    assert_eq!(error.to_string(), "linear: weight should be [out, 4], found [3, 5]");
    let error = group_norm(random([1, 6, 2, 2]), random([6]), random([6]), 4, 1e-5, false).unwrap_err();
    assert_eq!(error.to_string(), "group_norm: groups should be a divisor of 6, found 4");
    let error = attention(random([1, 2, 8]), random([1, 3, 8]), random([1, 2, 8]), 2, Mask::None).unwrap_err();
    assert_eq!(error.to_string(), "attention: v should be [1, 3, 8], found [1, 2, 8]");
    assert!(attention(random([1, 2, 8]), random([1, 3, 8]), random([1, 3, 8]), 2, Mask::Causal).is_err());
    let half = random([3, 4]).cast(burn::tensor::FloatDType::F16);
    let error = linear(random([1, 2, 4]), half, None).unwrap_err();
    assert_eq!(error.to_string(), "linear: weight should hold F32 as the input does, found F16");
    assert!(conv2d(random([1, 2, 2, 2]), random([1, 2, 3, 3]), None, 1, 0).is_err());
    assert!(conv2d(random([1, 2, 4, 4]), random([1, 2, 3, 3]), None, 0, 1).is_err());
    assert!(geglu(random([1, 1, 3])).is_err());
}

#[test]
fn a_norm_over_channels_is_that_of_burn() {
    let x = random([2, 12, 5, 7]).swap_dims(2, 3);
    let gamma = random([12]);
    for silu in [false, true] {
        let expected = super::channel_norm::stock_channel_norm(x.clone(), gamma.clone(), silu);
        assert_near(channel_norm(x.clone(), gamma.clone(), silu).unwrap(), expected);
    }
}
