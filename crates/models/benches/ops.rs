//! Our operators beside burn's own on the CPU, alternating in one run: milliseconds of each, the ratio, and how far the
//! results lie apart. Words on the command line choose rows by name.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use burn::tensor::{
    Device, Distribution, Tensor, activation, module,
    ops::{AttentionModuleOptions, ConvOptions},
};
use kiln_models::ops::{self, Mask};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    println!("{} threads, {}", rayon::current_num_threads(), kiln_kernels::Isa::best().name());
    println!("{:<40} {:>9} {:>9} {:>6} {:>9}", "operator", "ours, ms", "burn, ms", "ratio", "distance");
    for case in cases().into_iter().filter(|case| chosen(&case.name)) {
        case.print();
    }
}

type Run = Box<dyn Fn() -> Tensor<1>>;

/// One operator, twice.
struct Case {
    name: String,
    ours: Run,
    burns: Run,
}

impl Case {
    fn new<const D: usize>(
        name: String,
        ours: impl Fn() -> Tensor<D> + 'static,
        burns: impl Fn() -> Tensor<D> + 'static,
    ) -> Self {
        Self {
            name,
            ours: Box::new(move || ours().flatten(0, D - 1)),
            burns: Box::new(move || burns().flatten(0, D - 1)),
        }
    }

    fn print(&self) {
        let (found, expected) = ((self.ours)(), (self.burns)());
        let largest = expected.clone().abs().max().into_scalar::<f32>();
        let distance = (found - expected).abs().max().into_scalar::<f32>() / largest;
        let (mut ours, mut burns) = (Duration::MAX, Duration::MAX);
        let start = Instant::now();
        let mut rounds = 0;
        while rounds < 5 || (start.elapsed() < Duration::from_secs(2) && rounds < 50) {
            ours = ours.min(timed(&self.ours));
            burns = burns.min(timed(&self.burns));
            rounds += 1;
        }
        let [ours, burns] = [ours, burns].map(|time| time.as_secs_f64() * 1e3);
        println!("{:<40} {ours:>9.2} {burns:>9.2} {:>6.2} {distance:>9.1e}", self.name, ours / burns);
    }
}

fn timed(run: &Run) -> Duration {
    let start = Instant::now();
    black_box(run());
    start.elapsed()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (batch, inputs, outputs, side) in [
        (2, 320, 320, 64),
        (2, 640, 640, 32),
        (2, 1280, 1280, 16),
        (2, 2560, 1280, 16),
        (2, 1280, 1280, 8),
        (1, 512, 512, 64),
        (1, 128, 128, 512),
    ] {
        cases.push(conv(batch, inputs, outputs, side, 3, 1));
    }
    for (batch, inputs, outputs, side, kernel, stride) in [
        (2, 320, 320, 64, 1, 1),
        (2, 1280, 1280, 16, 1, 1),
        (1, 512, 512, 64, 1, 1),
        (2, 320, 320, 64, 3, 2),
        (1, 128, 128, 512, 3, 2),
        (2, 4, 320, 64, 3, 1),
        (2, 320, 4, 64, 3, 1),
        (1, 128, 3, 512, 3, 1),
    ] {
        cases.push(conv(batch, inputs, outputs, side, kernel, stride));
    }
    for (tokens, inputs, outputs) in
        [(4096, 320, 320), (4096, 320, 2560), (1024, 640, 640), (256, 1280, 1280), (77, 768, 3072), (2, 320, 1280)]
    {
        cases.push(linear(tokens, inputs, outputs));
    }
    for (tokens, keys, width) in [(4096, 4096, 40), (1024, 1024, 80), (256, 256, 160), (4096, 77, 40)] {
        cases.push(attention(tokens, keys, width, 8));
    }
    cases.push(attention(4096, 4096, 512, 1));
    for (channels, side) in [(320, 64), (128, 512)] {
        cases.push(norm(channels, side));
    }
    let x = random([1, 4096, 2560]);
    let y = x.clone();
    let burns = move || {
        let parts = y.clone().chunk(2, 2);
        parts[0].clone() * activation::gelu(parts[1].clone())
    };
    cases.push(Case::new("geglu 4096x2560".into(), move || ops::geglu(x.clone()).unwrap(), burns));
    let x = random([1, 320, 64, 64]);
    let y = x.clone();
    cases.push(Case::new(
        "silu 320x64²".into(),
        move || ops::silu(x.clone()).unwrap(),
        move || activation::silu(y.clone()),
    ));
    cases
}

fn conv(batch: usize, inputs: usize, outputs: usize, side: usize, kernel: usize, stride: usize) -> Case {
    let x = random([batch, inputs, side, side]);
    let (weight, bias) = (random([outputs, inputs, kernel, kernel]) * 0.02, random([outputs]));
    let name = format!("conv {kernel}x{kernel}/{stride} {inputs}>{outputs} {side}² batch {batch}");
    let (x2, weight2, bias2) = (x.clone(), weight.clone(), bias.clone());
    let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1; 2], 1);
    Case::new(
        name,
        move || ops::conv2d(x.clone(), weight.clone(), Some(bias.clone()), stride, kernel / 2).unwrap(),
        move || module::conv2d(x2.clone(), weight2.clone(), Some(bias2.clone()), options.clone()),
    )
}

fn linear(tokens: usize, inputs: usize, outputs: usize) -> Case {
    let (x, weight, bias) = (random([1, tokens, inputs]), random([outputs, inputs]) * 0.05, random([outputs]));
    let (x2, weight2, bias2) = (x.clone(), weight.clone(), bias.clone());
    Case::new(
        format!("linear {tokens}x{inputs}x{outputs}"),
        move || ops::linear(x.clone(), weight.clone(), Some(bias.clone())).unwrap(),
        move || module::linear(x2.clone(), weight2.clone().transpose(), Some(bias2.clone())),
    )
}

fn attention(tokens: usize, keys: usize, width: usize, heads: usize) -> Case {
    let row = heads * width;
    let (q, k, v) = (random([1, tokens, row]), random([1, keys, row]), random([1, keys, row]));
    let (q2, k2, v2) = (q.clone(), k.clone(), v.clone());
    let split = move |x: &Tensor<3>| {
        let [batch, rows, _] = x.dims();
        x.clone().reshape([batch, rows, heads, width]).swap_dims(1, 2)
    };
    Case::new(
        format!("attention {heads} x {tokens}x{keys}x{width}"),
        move || ops::attention(q.clone(), k.clone(), v.clone(), heads, Mask::None).unwrap(),
        move || {
            let options = AttentionModuleOptions::default();
            let out = module::attention(split(&q2), split(&k2), split(&v2), None, None, options);
            out.swap_dims(1, 2).reshape([1, tokens, row])
        },
    )
}

fn norm(channels: usize, side: usize) -> Case {
    let (x, gamma, beta) = (random([1, channels, side, side]), random([channels]), random([channels]));
    let (x2, gamma2, beta2) = (x.clone(), gamma.clone(), beta.clone());
    Case::new(
        format!("group norm 32 + silu {channels}x{side}²"),
        move || ops::group_norm(x.clone(), gamma.clone(), beta.clone(), 32, 1e-5, true).unwrap(),
        move || {
            let rows = x2.clone().reshape([32, channels / 32 * side * side]);
            let centred = rows.clone() - rows.mean_dim(1);
            let variance = centred.clone().square().mean_dim(1);
            let normal = (centred / (variance + 1e-5).sqrt()).reshape([1, channels, side, side]);
            let affine = [1, channels, 1, 1];
            activation::silu(normal * gamma2.clone().reshape(affine) + beta2.clone().reshape(affine))
        },
    )
}
