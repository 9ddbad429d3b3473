//! Changes inside of the UNet, on the bundled model's network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, TensorShapes, hash_uniform};
use kiln_models::image::Method;
use kiln_models::{Checkpoint, Network};
use kiln_models::{
    gligen::{FuserConfig, Gligen, GligenConfig, GroundedBox, Grounding},
    hooks::{Downscale, FreeU, Hook, Hooks, HyperTile, MiddleAttention},
    hypernetwork::{Hypernetwork, HypernetworkChange, HypernetworkConfig, Nonlinearity},
    unet::{Extras, UNet},
};

fn unet() -> std::sync::Arc<dyn Network> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, &Budget::unlimited("test")).unwrap().model.network
}

fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let mut values = vec![0f32; shape.iter().product()];
    hash_uniform(name, &shape, &mut values);
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape) * 20.0
}

struct Bench {
    unet: std::sync::Arc<dyn Network>,
    x: Tensor<4>,
    context: Tensor<3>,
}

impl Bench {
    fn new(rows: usize, columns: usize) -> Self {
        Self { unet: unet(), x: random("x", [2, 4, rows, columns]), context: random("context", [2, 7, 64]) }
    }

    fn unet(&self) -> &UNet {
        self.unet.as_a().unwrap()
    }

    fn run(&self, extras: &Extras<'_>) -> Tensor<4> {
        self.unet().forward(self.x.clone(), &[700.0; 2], &self.context, extras).unwrap()
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
    let error = bench.unet().forward(bench.x.clone(), &[700.0; 2], &bench.context, &extras).unwrap_err().to_string();
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

/// A narrow GLIGEN for transformers of these widths.
fn gligen(channels: &[usize], text: usize) -> Gligen {
    let fusers = channels.iter().map(|channels| FuserConfig { channels: *channels, heads: channels / 64 }).collect();
    let config = GligenConfig { fusers, text, hidden: 48, token: text };
    let names = config.tensors().unwrap();
    assert_eq!(GligenConfig::from_names(&names).unwrap(), Some(config.clone()));
    config.init(&common::weights(&names)).unwrap()
}

/// Numbers by torch 2.6: GLIGEN's PositionNet and GatedSelfAttentionDense, their weights functions of their names.
#[test]
fn texts_in_boxes_are_placed_and_fused_as_torch_does() {
    let net = gligen(&[64, 128], 32);
    let texts = common::uniform("in.texts", [2, 32], 1.0, 0.0);
    let sides = |[height, width, y, x]: [f32; 4]| [x / 10.0, y / 12.0, (x + width) / 10.0, (y + height) / 12.0];
    let boxes = [sides([4.0, 5.0, 2.0, 1.0]), sides([6.0, 3.0, 6.0, 7.0])];
    let rows = (0..2).map(|row| texts.clone().narrow(0, row, 1)).collect();
    let placed = net.placed(&boxes, rows, &Device::flex()).unwrap();
    let expected = [-0.00337857299, 0.06181330315, 0.6094380021, 0.15409041942, 0.00613080431];
    common::assert_five(placed.clone(), expected, 2e-6);
    let expected = [-0.00789704739, 0.20334881169, 0.6094380021, 0.15409041942, -0.0837327363];
    common::assert_five(placed.clone().narrow(1, 0, 2), expected, 2e-6);
    let cases = [
        ("in.x0", [2, 6, 64], [0.00190052932, 0.01555464081, 0.05547821522, -0.0131265521, -0.00686174631]),
        ("in.x1", [2, 3, 128], [0.0010584176, 0.04801073456, 0.14888390899, 0.06862163544, -0.06194491684]),
    ];
    for (transformer, (name, shape, expected)) in cases.into_iter().enumerate() {
        let x = common::uniform(name, shape, 1.0, 0.0);
        let fused = net.fused(transformer, x.clone(), &placed).unwrap();
        common::assert_five(fused - x, expected, 2e-5);
    }
}

/// Channels of the network's transformers, in their order.
fn transformers(bench: &Bench) -> Vec<usize> {
    let names = bench.unet().config().tensors().unwrap();
    let ends = ".transformer_blocks.0.attn1.to_q.weight";
    let mut found: Vec<_> = names.iter().filter(|(name, _)| name.ends_with(ends)).collect();
    found.sort_by_key(|(name, _)| {
        let kind = ["input_blocks", "middle_block", "output_blocks"].iter().position(|kind| name.starts_with(kind));
        (kind, name.split('.').nth(1).and_then(|number| number.parse::<usize>().ok()))
    });
    found.into_iter().map(|(_, shape)| shape[0]).collect()
}

#[test]
fn boxes_change_a_pass_and_a_network_for_another_model_is_told() {
    let bench = Bench::new(8, 8);
    let channels = transformers(&bench);
    let text = || common::uniform("in.text", [1, 64], 1.0, 0.0);
    let run = |channels: &[usize], cells: [usize; 4]| {
        let boxes = vec![GroundedBox { text: text(), cells }];
        let grounding = Grounding { net: Arc::new(gligen(channels, 64)), boxes };
        let between = grounding.at([8, 8], &Device::flex()).unwrap();
        let extras = Extras { between: Some(&between), ..Extras::default() };
        bench.unet().forward(bench.x.clone(), &[700.0; 2], &bench.context, &extras)
    };
    let (left, right) = (run(&channels, [4, 4, 0, 0]).unwrap(), run(&channels, [4, 4, 0, 4]).unwrap());
    assert!(distance(&left, &bench.plain()) > 1e-4 && distance(&left, &right) > 1e-6);
    let error = run(&channels[1..], [4, 4, 0, 0]).unwrap_err().to_string();
    assert!(error.contains("GLIGEN") && error.contains("another model"), "{error}");
    let wider: Vec<usize> = channels.iter().map(|channels| channels * 2).collect();
    let error = run(&wider, [4, 4, 0, 0]).unwrap_err().to_string();
    assert!(error.contains("GLIGEN") && error.contains("another model"), "{error}");
}

#[test]
fn boxes_beyond_thirty_and_texts_of_another_width_are_told() {
    let net = Arc::new(gligen(&[64], 32));
    let boxes =
        |count, width| vec![GroundedBox { text: Tensor::ones([1, width], &Device::flex()), cells: [1; 4] }; count];
    let told = |boxes| Grounding { net: net.clone(), boxes }.at([8, 8], &Device::flex()).map(drop);
    told(boxes(30, 32)).unwrap();
    told(boxes(0, 32)).unwrap();
    let error = told(boxes(31, 32)).unwrap_err().to_string();
    assert!(error.contains("at most 30"), "{error}");
    let error = told(boxes(1, 48)).unwrap_err().to_string();
    assert!(error.contains("[1, 32]"), "{error}");
}

/// A hypernetwork of two layers on each side, 16 to 24 to 16.
fn hypernetwork(function: &str) -> Result<Option<HypernetworkConfig>, kiln_models::ModelError> {
    let layer = |side: usize| {
        let name = move |end: &str| format!("16.{side}.linear.{end}");
        [
            (name("0.weight"), vec![24, 16]),
            (name("0.bias"), vec![24]),
            (name("1.weight"), vec![16, 24]),
            (name("1.bias"), vec![16]),
        ]
    };
    let names: TensorShapes = (0..2).flat_map(layer).collect();
    let texts = [("activation_func".to_owned(), function.to_owned())].into_iter().collect();
    HypernetworkConfig::from_names(&names, &texts)
}

/// Numbers by torch 2.6: `nn.Sequential(Linear, function, Linear)` over weights that are functions of their names.
#[test]
fn a_hypernetwork_bends_as_torch_does_with_every_function() {
    let cases = [
        ("linear", [0.3888945054, 2.7589290550, 6.8602752685, 2.7223801613, -0.7509372830]),
        ("relu", [-0.0999714898, 1.4036519838, 4.7688865662, -0.3365245461, -0.6908695698]),
        ("leakyrelu", [-0.0950828164, 1.4073783162, 4.7743144035, -0.3059355319, -0.6914702654]),
        ("elu", [0.0753733351, 1.6417976848, 4.8712811470, 0.4613941014, -0.7806712985]),
        ("swish", [-0.0494674251, 1.3392679324, 4.6158537865, -0.0686494410, -0.5196776390]),
        ("tanh", [0.1422658245, 0.9591551211, 2.2769114971, 0.3644278646, -0.5962752700]),
        ("sigmoid", [-0.0824330436, 0.5858238927, 1.5918102264, -0.3902851045, -0.3602753878]),
        ("softsign", [0.1025053204, 0.7040645741, 1.6327072382, 0.3419147730, -0.4196489453]),
        ("mish", [-0.0475389571, 1.4123170844, 4.7937879562, -0.1769418120, -0.6202759147]),
    ];
    assert_eq!(cases.map(|(name, _)| name), Nonlinearity::NAMED.map(|(name, _)| name));
    for (name, expected) in cases {
        let config = hypernetwork(name).unwrap().unwrap();
        let net = config.init(&common::weights(&config.tensors().unwrap())).unwrap();
        let x = common::uniform("in.x", [1, 5, 16], 2.0, 0.0) * 2.0;
        common::assert_five(net.forward(0, &x).unwrap().unwrap(), expected, 3e-6);
        assert!(net.forward(0, &Tensor::ones([1, 5, 32], &Device::flex())).unwrap().is_none());
    }
    let error = hypernetwork("gelu").unwrap_err().to_string();
    assert!(error.contains("`gelu`") && error.contains("mish"), "{error}");
}

/// A file by torch 2.6 with a norm after every linear layer, and what its layers give there.
#[test]
fn a_hypernetwork_with_norms_is_read_from_its_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hypernetwork_norms.pt");
    let net = Hypernetwork::open(&path, &Budget::unlimited("test")).unwrap();
    let x = common::uniform("in.x8", [1, 5, 8], 1.0, 0.0);
    let keys = [0.01190229459, 0.99954751065, 2.38256406784, -0.88048112392, -1.38842749596];
    let values = [0.0246555943, 1.01204343605, 2.65458154678, -0.14967511594, -0.16127163172];
    for (side, expected) in [keys, values].into_iter().enumerate() {
        common::assert_five(net.forward(side, &x).unwrap().unwrap(), expected, 3e-6);
    }
}

#[test]
fn a_hypernetwork_changes_every_attention_of_its_width_by_its_strength() {
    let bench = Bench::new(8, 8);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hypernetwork.pt");
    let net = Arc::new(Hypernetwork::open(&path, &Budget::unlimited("test")).unwrap());
    let run = |strength| {
        let change = HypernetworkChange { net: net.clone(), strength };
        let hooks = Hooks::default().with_key_values(Arc::new(change));
        assert!(!hooks.is_empty());
        bench.run(&Extras { hooks: Some(&hooks), ..Extras::default() })
    };
    assert_eq!(distance(&run(0.0), &bench.plain()), 0.0);
    let (half, full) = (distance(&run(0.5), &bench.plain()), distance(&run(1.0), &bench.plain()));
    assert!(half > 1e-4 && full > half, "{half} {full}");
}
