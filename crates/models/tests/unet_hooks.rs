//! Changes inside of the UNet, on the bundled model's network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, hash_uniform};
use kiln_models::Checkpoint;
use kiln_models::image::Method;
use kiln_models::{
    hooks::{Downscale, FreeU, Hook, Hooks, HyperTile, MiddleAttention},
    unet::{Extras, UNet},
};

fn unet() -> std::sync::Arc<UNet> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, &Budget::unlimited("test")).unwrap().model.unet
}

fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let mut values = vec![0f32; shape.iter().product()];
    hash_uniform(name, &shape, &mut values);
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape) * 20.0
}

struct Bench {
    unet: std::sync::Arc<UNet>,
    x: Tensor<4>,
    context: Tensor<3>,
}

impl Bench {
    fn new(rows: usize, columns: usize) -> Self {
        Self { unet: unet(), x: random("x", [2, 4, rows, columns]), context: random("context", [2, 7, 64]) }
    }

    fn run(&self, extras: &Extras<'_>) -> Tensor<4> {
        self.unet.forward(self.x.clone(), &[700.0; 2], &self.context, extras).unwrap()
    }

    fn plain(&self) -> Tensor<4> {
        self.run(&Extras::default())
    }

    fn hooked(&self, hook: Hook) -> Tensor<4> {
        let hooks = Hooks::default().with(hook);
        self.run(&Extras { hooks: Some(&hooks), sigma: 3.0, ..Extras::default() })
    }
}

fn distance(a: &Tensor<4>, b: &Tensor<4>) -> f32 {
    let largest = b.clone().abs().max().into_scalar::<f32>();
    (a.clone() - b.clone()).abs().max().into_scalar::<f32>() / largest
}

fn free_u(backbone: f32, skip: f32, adaptive: bool) -> Hook {
    Hook::FreeU(FreeU { model_channels: 64, backbone: [backbone; 2], skip: [skip; 2], adaptive })
}

#[test]
fn free_u_with_factors_of_one_changes_nothing_and_with_others_something() {
    let bench = Bench::new(8, 6);
    let plain = bench.plain();
    for adaptive in [false, true] {
        // Adding zero times the low frequencies and multiplying by one are exact.
        assert_eq!(distance(&bench.hooked(free_u(1.0, 1.0, adaptive)), &plain), 0.0);
        assert!(distance(&bench.hooked(free_u(1.3, 0.2, adaptive)), &plain) > 1e-3);
    }
    assert!(distance(&bench.hooked(free_u(1.3, 0.2, false)), &bench.hooked(free_u(1.3, 0.2, true))) > 1e-4);
}

#[test]
fn deep_shrink_works_on_smaller_maps_within_its_levels_and_keeps_the_outer_size() {
    let bench = Bench::new(16, 12);
    let shrink = |factor: f64, sigmas: [f64; 2], after_skip: bool| {
        let (down, up) = (Method::Bicubic, Method::Bicubic);
        bench.hooked(Hook::Downscale(Downscale { block: 3, factor, sigmas, after_skip, down, up }))
    };
    let plain = bench.plain();
    assert_eq!(distance(&shrink(2.0, [2.9, 0.0], true), &plain), 0.0, "3 is above its levels");
    assert_eq!(distance(&shrink(2.0, [9.0, 3.1], true), &plain), 0.0, "3 is below its levels");
    assert!(distance(&shrink(1.0, [9.0, 1.0], true), &plain) < 1e-5, "as large as before");
    for after_skip in [true, false] {
        let small = shrink(2.0, [9.0, 1.0], after_skip);
        assert_eq!(small.dims(), plain.dims());
        assert!(distance(&small, &plain) > 1e-3);
    }
}

#[test]
fn a_size_that_vanishes_is_told() {
    let bench = Bench::new(8, 8);
    let hook =
        Downscale { block: 3, factor: 9.0, sigmas: [9.0, 0.0], after_skip: true, down: Method::Area, up: Method::Area };
    let hooks = Hooks::default().with(Hook::Downscale(hook));
    let extras = Extras { hooks: Some(&hooks), sigma: 3.0, ..Extras::default() };
    let error = bench.unet.forward(bench.x.clone(), &[700.0; 2], &bench.context, &extras).unwrap_err().to_string();
    assert!(error.contains("downscale_factor"), "{error}");
}

#[test]
fn tiles_as_large_as_the_map_are_the_map() {
    let bench = Bench::new(8, 8);
    let tile = |tile| bench.hooked(Hook::HyperTile(HyperTile { tile, choices: 1, depth: 3, scaled: false }));
    assert_eq!(distance(&tile(8), &bench.plain()), 0.0);
    assert!(distance(&tile(2), &bench.plain()) > 1e-4);
}

#[test]
fn merging_nothing_changes_nothing_and_merging_more_changes_more() {
    let bench = Bench::new(8, 8);
    let merge = |ratio| distance(&bench.hooked(Hook::Merge(ratio)), &bench.plain());
    let (none, some, most) = (merge(0.0), merge(0.2), merge(0.7));
    assert!(none == 0.0 && some > 0.0 && most > some, "{none} {some} {most}");
}

#[test]
fn attention_to_itself_is_plain_where_a_map_has_one_place() {
    // Two halvings: 4 x 4 cells leave one place in the middle.
    let small = Bench::new(4, 4);
    let itself = Extras { middle: MiddleAttention::Itself, ..Extras::default() };
    assert!(distance(&small.run(&itself), &small.plain()) < 1e-5);
    let larger = Bench::new(8, 8);
    assert!(distance(&larger.run(&itself), &larger.plain()) > 1e-4);
}

#[test]
fn noting_attention_leaves_the_answer_alone() {
    let bench = Bench::new(8, 8);
    let record = kiln_models::hooks::AttentionRecorder::default();
    let noted = Extras { middle: MiddleAttention::Recorded(&record), ..Extras::default() };
    // The same sums in another order.
    assert!(distance(&bench.run(&noted), &bench.plain()) < 1e-5);
}
