//! T2I-Adapters: what a file says about them, and their arithmetic against one written out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{Budget, TensorShapes, hash_uniform};
use kiln_models::Residuals;
use kiln_models::t2i::{Adapter, AdapterConfig, AdapterKind};

fn full(shuffle: usize, kernel: usize, halves_by_conv: bool) -> AdapterConfig {
    let kind = AdapterKind::Full { blocks: 2, kernel, halves_by_conv };
    AdapterConfig { image: 3, shuffle, channels: vec![2, 3, 4, 4], kind }
}

fn light() -> AdapterConfig {
    AdapterConfig { image: 1, shuffle: 8, channels: vec![4, 8, 8, 8], kind: AdapterKind::Light { blocks: 4 } }
}

fn all() -> [AdapterConfig; 4] {
    [full(8, 1, false), full(8, 3, true), full(16, 1, false), light()]
}

#[test]
fn the_configuration_is_read_off_names_and_shapes() {
    for config in all() {
        let names = config.tensors().unwrap();
        let found = AdapterConfig::from_names(&names).unwrap().unwrap();
        assert_eq!(found, config);
        assert_eq!(found.tensors().unwrap(), names);
    }
    assert!(AdapterConfig::from_names(&common::sd15()).unwrap().is_none());
}

/// diffusers' name of a tensor.
fn diffusers(name: &str, light: bool) -> String {
    let Some(rest) = name.strip_prefix("body.") else { return format!("adapter.{name}") };
    let (n, rest) = rest.split_once('.').unwrap();
    let n: usize = n.parse().unwrap();
    match (light, rest.strip_prefix("body.")) {
        (true, Some(rest)) => format!("adapter.body.{n}.resnets.{rest}"),
        (true, None) => format!("adapter.body.{n}.{rest}"),
        (false, _) if rest.starts_with("in_conv") => format!("adapter.body.{}.{rest}", n / 2),
        (false, _) => format!("adapter.body.{}.resnets.{}.{rest}", n / 2, n % 2),
    }
}

#[test]
fn diffusers_names_are_the_same_network() {
    let dir = tempfile::tempdir().unwrap();
    for config in [full(8, 1, false), light()] {
        let narrow = matches!(config.kind, AdapterKind::Light { .. });
        let names = config.tensors().unwrap();
        let renamed: TensorShapes =
            names.iter().map(|(name, shape)| (diffusers(name, narrow), shape.to_vec())).collect();
        let path = dir.path().join("adapter.safetensors");
        common::write(&path, &renamed);
        assert!(Adapter::is_in(&path).unwrap());
        assert_eq!(*Adapter::open(&path, &Budget::unlimited("test")).unwrap().config(), config);
    }
}

/// A map as `[channels][rows][columns]`, in f64.
#[derive(Clone)]
struct Map {
    c: usize,
    h: usize,
    w: usize,
    values: Vec<f64>,
}

impl Map {
    fn at(&self, c: usize, y: isize, x: isize) -> f64 {
        let inside = y >= 0 && x >= 0 && (y as usize) < self.h && (x as usize) < self.w;
        if inside { self.values[(c * self.h + y as usize) * self.w + x as usize] } else { 0.0 }
    }

    fn make(c: usize, h: usize, w: usize, f: impl Fn(usize, usize, usize) -> f64) -> Self {
        let values = (0..c * h * w).map(|i| f(i / (h * w), i / w % h, i % w)).collect();
        Self { c, h, w, values }
    }

    fn conv(&self, names: &TensorShapes, name: &str, stride: usize) -> Self {
        let shape = names.shape(&format!("{name}.weight")).unwrap().to_vec();
        let (weight, bias) = (tensor(&format!("{name}.weight"), &shape), tensor(&format!("{name}.bias"), &shape[..1]));
        let (k, pad) = (shape[2], (shape[2] / 2) as isize);
        let out = |n: usize| (n + 2 * (k / 2) - k) / stride + 1;
        Self::make(shape[0], out(self.h), out(self.w), |o, y, x| {
            let taps = (0..self.c * k * k).map(|i| {
                let (c, dy, dx) = (i / (k * k), i / k % k, i % k);
                let place = |at: usize, d: usize| (at * stride + d) as isize - pad;
                weight[(o * self.c + c) * k * k + dy * k + dx] * self.at(c, place(y, dy), place(x, dx))
            });
            bias[o] + taps.sum::<f64>()
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self { values: self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect(), ..self.clone() }
    }

    fn block(&self, names: &TensorShapes, name: &str) -> Self {
        let has = |end: &str| names.has(&format!("{name}.{end}.weight"));
        let x = if has("in_conv") { self.conv(names, &format!("{name}.in_conv"), 1) } else { self.clone() };
        let mut h = x.conv(names, &format!("{name}.block1"), 1);
        h.values.iter_mut().for_each(|v| *v = v.max(0.0));
        let h = h.conv(names, &format!("{name}.block2"), 1);
        h.plus(&x)
    }

    fn halved(&self) -> Self {
        let mean = |c: usize, y: usize, x: usize| {
            let (y, x) = (y as isize * 2, x as isize * 2);
            (self.at(c, y, x) + self.at(c, y + 1, x) + self.at(c, y, x + 1) + self.at(c, y + 1, x + 1)) / 4.0
        };
        Self::make(self.c, self.h / 2, self.w / 2, mean)
    }
}

fn tensor(name: &str, shape: &[usize]) -> Vec<f64> {
    let mut values = vec![0f32; shape.iter().product()];
    hash_uniform(name, shape, &mut values);
    values.into_iter().map(f64::from).collect()
}

/// The maps of all levels, written out after the paper's figure and its authors' code.
fn maps(config: &AdapterConfig, image: &Map) -> Vec<Map> {
    let (names, side) = (config.tensors().unwrap(), config.shuffle);
    let mut h = Map::make(image.c * side * side, image.h / side, image.w / side, |c, y, x| {
        let (plane, dy, dx) = (c / (side * side), c / side % side, c % side);
        image.at(plane, (y * side + dy) as isize, (x * side + dx) as isize)
    });
    if let AdapterKind::Full { .. } = config.kind {
        h = h.conv(&names, "conv_in", 1);
    }
    let mut all = Vec::new();
    for level in 0..4 {
        let halves = if side == 16 { level == 2 } else { level > 0 };
        match config.kind {
            AdapterKind::Full { halves_by_conv, .. } => {
                let first = format!("body.{}", level * 2);
                h = match (halves, halves_by_conv) {
                    (false, _) => h,
                    (true, true) => h.conv(&names, &format!("{first}.down_opt.op"), 2),
                    (true, false) => h.halved(),
                };
                h = h.block(&names, &first).block(&names, &format!("body.{}", level * 2 + 1));
            }
            AdapterKind::Light { blocks } => {
                h = if halves { h.halved() } else { h };
                h = h.conv(&names, &format!("body.{level}.in_conv"), 1);
                h = (0..blocks).fold(h, |h, n| h.block(&names, &format!("body.{level}.body.{n}")));
                h = h.conv(&names, &format!("body.{level}.out_conv"), 1);
            }
        }
        all.push(h.clone());
    }
    all
}

fn residuals(config: &AdapterConfig, image: &Map) -> Residuals {
    let values: Vec<f32> = image.values.iter().map(|v| *v as f32).collect();
    let x = Tensor::from_data(TensorData::new(values, [1, image.c, image.h, image.w]), &Device::flex());
    config.init(&common::weights(&config.tensors().unwrap())).unwrap().forward(x).unwrap()
}

#[test]
fn every_kind_computes_what_is_written_out() {
    for config in all() {
        let image = Map::make(config.image, 64, 128, |c, y, x| ((c * 5 + y * 3 + x * 7) % 11) as f64 / 10.0);
        let found = residuals(&config, &image);
        let expected = maps(&config, &image);
        // SD1: behind the last residual block of each level. SDXL: one level later, and the last behind the middle.
        let places: &[usize] = if config.is_xl() { &[3, 5, 8] } else { &[2, 5, 8, 11] };
        let mut got: Vec<Tensor<4>> = places.iter().map(|place| found.input[*place].clone().unwrap()).collect();
        assert_eq!(found.input.iter().flatten().count(), places.len());
        assert_eq!(found.middle.is_some(), config.is_xl());
        got.extend(found.middle);
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got.dims(), [1, expected.c, expected.h, expected.w]);
            let largest = expected.values.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
            for (got, expected) in got.try_to_vec_as::<f32>().unwrap().iter().zip(&expected.values) {
                // A dozen convolutions in f32.
                assert!((f64::from(*got) - expected).abs() < 1e-5 * largest, "{got} {expected} of {largest}");
            }
        }
    }
}

#[test]
fn an_image_that_is_no_whole_number_of_squares_is_told() {
    let config = full(8, 1, false);
    let net = config.init(&common::weights(&config.tensors().unwrap())).unwrap();
    let error = net.forward(Tensor::ones([1, 3, 20, 24], &Device::flex())).unwrap_err().to_string();
    assert!(error.contains("T2I-Adapter") && error.contains("[1, 3, 20, 24]"), "{error}");
}
