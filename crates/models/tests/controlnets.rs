//! ControlNets: which files they are, and what they add.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use kiln_memory::{Budget, TensorShapes};
use kiln_models::{
    Checkpoint, ControlCall, ControlSource, ModelWeights,
    controlnet::{Control, ControlNet, ControlNetConfig, ControlNetwork, Hint, UnionConfig},
    image::Planes,
    schedule::ModelSampling,
    t2i::{AdapterConfig, AdapterControl, AdapterKind},
    unet::{Extras, Heads, Middle, UNet, UNetConfig, Variant},
};

fn bundled() -> Checkpoint {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Checkpoint::open(&path, &Budget::unlimited("test")).unwrap()
}

fn config(checkpoint: &Checkpoint) -> ControlNetConfig {
    let unet = checkpoint.model.network_as::<UNet>().unwrap().config().clone();
    ControlNetConfig {
        hint: vec![16, 16, 32, 32, 96, 96, 256, unet.model_channels],
        unet,
        hint_channels: 3,
        union: None,
    }
}

fn net(checkpoint: &Checkpoint) -> Arc<ControlNet> {
    let config = config(checkpoint);
    Arc::new(config.init(&common::weights(&config.tensors().unwrap())).unwrap())
}

fn largest<const D: usize>(x: Tensor<D>) -> f32 {
    x.abs().max().into_scalar::<f32>()
}

#[test]
fn the_configuration_is_read_off_names_and_shapes() {
    let config = config(&bundled());
    let names = config.tensors().unwrap();
    let found = ControlNetConfig::from_names(&names).unwrap().unwrap();
    assert_eq!((found.hint.as_slice(), found.hint_channels), (config.hint.as_slice(), 3));
    assert_eq!((found.unet.depth.as_slice(), found.unet.heads), (config.unet.depth.as_slice(), config.unet.heads));
    assert_eq!(found.tensors().unwrap(), names);
}

#[test]
fn diffusers_names_and_the_old_prefix_are_the_same_network() {
    let names = config(&bundled()).tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let open = |names: &TensorShapes, file: &str| {
        let path = dir.path().join(file);
        common::write(&path, names);
        ControlNet::open(&path, None, &Budget::unlimited("test")).unwrap().config().clone()
    };
    let bare = open(&names, "bare.safetensors");
    let prefixed: TensorShapes =
        names.iter().map(|(name, shape)| (format!("control_model.{name}"), shape.to_vec())).collect();
    assert_eq!(open(&prefixed, "prefixed.safetensors"), bare);
    let renamed: TensorShapes = names.iter().map(|(name, shape)| (diffusers(name), shape.to_vec())).collect();
    assert_eq!(open(&renamed, "diffusers.safetensors"), bare);
}

/// diffusers' name of a tensor of a ControlNet with two residual blocks per level.
fn diffusers(name: &str) -> String {
    let residual = |rest: &str| {
        let table = [
            ("in_layers.0.", "norm1."),
            ("in_layers.2.", "conv1."),
            ("emb_layers.1.", "time_emb_proj."),
            ("out_layers.0.", "norm2."),
            ("out_layers.3.", "conv2."),
            ("skip_connection.", "conv_shortcut."),
        ];
        table.iter().fold(rest.to_owned(), |rest, (from, to)| rest.replace(from, to))
    };
    let table = [
        ("input_blocks.0.0.", "conv_in."),
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("middle_block_out.0.", "controlnet_mid_block."),
        ("input_hint_block.0.", "controlnet_cond_embedding.conv_in."),
        ("input_hint_block.14.", "controlnet_cond_embedding.conv_out."),
    ];
    if let Some((from, to)) = table.iter().find(|(from, _)| name.starts_with(from)) {
        return name.replacen(from, to, 1);
    }
    let parts: Vec<&str> = name.splitn(4, '.').collect();
    let n: usize = parts[1].parse().unwrap();
    match parts[0] {
        "input_hint_block" => format!("controlnet_cond_embedding.blocks.{}.{}", n / 2 - 1, parts[2]),
        "zero_convs" => format!("controlnet_down_blocks.{n}.{}", parts[3]),
        "middle_block" => match n {
            1 => format!("mid_block.attentions.0.{}", name.splitn(3, '.').nth(2).unwrap()),
            _ => format!("mid_block.resnets.{}.{}", n / 2, residual(name.splitn(3, '.').nth(2).unwrap())),
        },
        _ => {
            let (level, i) = ((n - 1) / 3, (n - 1) % 3);
            match (i, parts[2]) {
                (2, _) => format!("down_blocks.{level}.downsamplers.0.{}", parts[3].replace("op.", "conv.")),
                (_, "0") => format!("down_blocks.{level}.resnets.{i}.{}", residual(parts[3])),
                _ => format!("down_blocks.{level}.attentions.{i}.{}", parts[3]),
            }
        }
    }
}

/// A narrow union ControlNet of SDXL's kind.
fn union() -> ControlNetConfig {
    let unet = UNetConfig {
        in_channels: 4,
        out_channels: 4,
        model_channels: 64,
        channel_mult: vec![1, 2],
        res_blocks: vec![1; 2],
        depth: vec![0, 1],
        depth_output: vec![0, 0, 1, 1],
        middle: Middle::Transformer(1),
        context_dim: Some(48),
        linear_projection: true,
        adm_channels: Some(24),
        heads: Heads::Width(64),
        variant: Variant::Plain,
    };
    let union = Some(UnionConfig { kinds: 6, width: 64, layers: 1, spread: 256 });
    ControlNetConfig { hint: vec![16, 16, 32, 32, 96, 96, 256, 64], unet, hint_channels: 3, union }
}

/// Numbers by torch 2.6: cldm.py's network with xinsir's union parts, its weights functions of their names.
#[test]
fn a_union_controlnet_gives_what_torch_gives_for_each_kind_of_image() {
    let config = union();
    let net = config.init(&common::weights(&config.tensors().unwrap())).unwrap();
    let untold = [
        [-0.009033192, 0.5255445, 2.084571, -0.4846802, 0.2055763],
        [0.01062021, 0.7594076, 3.26453, -0.688756, -0.4000028],
        [0.02066395, 0.6571508, 2.247153, 0.1782684, -0.06627258],
        [-0.06977406, 1.496755, 5.853904, -0.781472, 1.686777],
        [-0.001056668, 2.119496, 7.028445, -2.827666, 0.6896432],
    ];
    let canny = [
        [-0.03297871, 1.403978, 4.414783, -1.835686, 1.035543],
        [0.1099303, 1.520676, 4.766442, 0.4068239, 1.561195],
        [-0.1688509, 1.1391, 3.910262, 0.6268643, -0.8220416],
        [-0.1788762, 1.815934, 6.912309, -2.524591, -0.4668995],
        [0.09456482, 2.506972, 10.02843, -3.018462, -0.2735444],
    ];
    let context = common::uniform("in.ctx", [2, 7, 48], 1.0, 0.0);
    let y = common::uniform("in.y", [2, 24], 1.0, 0.0);
    let run = |kind| {
        let image = common::uniform("in.hint", [2, 3, 48, 32], 0.5, 0.5);
        let x = common::uniform("in.x", [2, 4, 6, 4], 1.0, 0.0);
        net.forward(x, Hint { image, kind }, &[981.0, 17.0], &context, Some(&y))
    };
    for (kind, expected) in [(None, untold), (Some(3), canny)] {
        let found = run(kind).unwrap();
        let all = found.output.into_iter().chain([found.middle]).map(Option::unwrap);
        all.zip(expected).for_each(|(found, expected)| common::assert_five(found, expected, 2e-5));
    }
    let error = run(Some(6)).unwrap_err().to_string();
    assert!(error.contains("union ControlNet") && error.contains("below 6"), "{error}");
}

#[test]
fn a_union_controlnet_is_known_by_its_names_in_diffusers_layout() {
    let config = union();
    let names = config.tensors().unwrap();
    let renamed = |name: &str| match name.split_once(".attn.in_proj.") {
        Some((layer, end)) => format!("{layer}.attn.in_proj_{end}"),
        None => name.to_owned(),
    };
    let names: TensorShapes = names.iter().map(|(name, shape)| (renamed(name), shape.to_vec())).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("union.safetensors");
    common::write(&path, &names);
    let network = ControlNetwork::open(&path, &Budget::unlimited("test")).unwrap();
    assert_eq!(network.kinds(), Some(6));
    assert_eq!(ControlNetwork::from(net(&bundled())).kinds(), None);
}

/// A control over grey, and a call at half of the way.
fn control(strength: f32, range: [f64; 2], previous: Option<Arc<dyn ControlSource>>) -> Control {
    let hint = Planes::new([1, 3, 20, 24], vec![0.5; 3 * 20 * 24]).unwrap();
    Control::new(net(&bundled()), hint, strength, range, previous)
}

fn call(source: &dyn ControlSource) -> Option<kiln_models::Residuals> {
    call_on(source, [2, 1], None)
}

/// A call with equal latents for a number of conditions, on a UNet.
fn call_on(
    source: &dyn ControlSource,
    [batch, conditions]: [usize; 2],
    base: Option<&ModelWeights>,
) -> Option<kiln_models::Residuals> {
    let device = Device::flex();
    let (x, context) = (Tensor::<4>::ones([batch, 4, 6, 5], &device), Tensor::<3>::ones([batch, 7, 64], &device));
    let sampling = ModelSampling::eps();
    let sigma = sampling.levels.percent_to_sigma(0.5) as f32;
    let (sampling, context) = (&sampling, &context);
    let call = ControlCall { x: &x, sigma, sampling, context, vector: None, conditions, base };
    source.residuals(&call).unwrap()
}

/// A file whose own tensors (image and zero convolutions) follow the recipe; the rest is `shared`.
fn write_with(
    path: &Path,
    names: &TensorShapes,
    marker: &str,
    shared: impl Fn(&str, &[usize]) -> Vec<(String, Vec<usize>)>,
) {
    let (mut entries, mut data) = (serde_json::Map::new(), Vec::new());
    let own = |name: &str| {
        ["input_hint_block.", "zero_convs.", "middle_block_out."].iter().any(|start| name.starts_with(start))
    };
    let mut put = |name: String, shape: Vec<usize>, recipe: bool| {
        let (start, mut values) = (data.len(), vec![0.0f32; shape.iter().product()]);
        if recipe {
            kiln_memory::hash_uniform(&name, &shape, &mut values);
        }
        data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        entries.insert(name, entry);
    };
    for (name, shape) in names.iter() {
        if own(name) {
            put(name.to_owned(), shape.to_vec(), true);
        } else {
            for (name, shape) in shared(name, shape) {
                put(name, shape, false);
            }
        }
    }
    put(marker.to_owned(), vec![1], false);
    let header = serde_json::to_vec(&entries).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

#[test]
fn changes_of_nothing_to_a_base_model_are_its_own_way_down() {
    let checkpoint = bundled();
    let names = config(&checkpoint).tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (difference, lora) = (dir.path().join("difference.safetensors"), dir.path().join("lora.safetensors"));
    write_with(&difference, &names, "difference", |name, shape| vec![(name.to_owned(), shape.to_vec())]);
    write_with(&lora, &names, "lora_controlnet", |name, shape| match (name.strip_suffix(".weight"), shape) {
        (Some(stem), [rows, columns]) => {
            vec![(format!("{stem}.up"), vec![*rows, 2]), (format!("{stem}.down"), vec![2, *columns])]
        }
        _ => Vec::new(),
    });
    let open = |path: &Path, base| ControlNet::open(path, base, &Budget::unlimited("test"));
    let error = open(&lora, None).unwrap_err().to_string();
    assert!(error.contains("a base model"), "{error}");
    let device = Device::flex();
    let context = Tensor::<3>::ones([1, 7, 64], &device);
    let middle = |path: &Path| {
        let net = open(path, Some(&checkpoint.model)).unwrap();
        let (x, hint) = (Tensor::ones([1, 4, 4, 4], &device), Tensor::ones([1, 3, 32, 32], &device));
        net.forward(x, hint, &[500.0], &context, None).unwrap().middle.unwrap()
    };
    let one = middle(&difference);
    assert!(largest(one.clone()) > 1e-3);
    assert!(largest(one.clone() - middle(&lora)) < 1e-5 * largest(one));
}

/// A control-LoRA of the bundled model's size whose products are zeros: it is the way down of whatever it stands on.
fn write_lora(path: &Path, names: &TensorShapes) {
    write_with(path, names, "lora_controlnet", |name, shape| match (name.strip_suffix(".weight"), shape) {
        (Some(stem), [rows, columns]) => {
            vec![(format!("{stem}.up"), vec![*rows, 2]), (format!("{stem}.down"), vec![2, *columns])]
        }
        _ => Vec::new(),
    });
}

/// What a control network of a file adds in the middle, on a UNet.
fn middle_on(path: &Path, base: Option<&ModelWeights>) -> Tensor<4> {
    let network = ControlNetwork::open(path, &Budget::unlimited("test")).unwrap();
    let hint = Planes::new([1, 3, 20, 24], vec![0.5; 3 * 20 * 24]).unwrap();
    call_on(&Control::new(network, hint, 1.0, [0.0, 1.0], None), [2, 2], base).unwrap().middle.unwrap()
}

#[test]
fn a_control_lora_stands_on_the_model_that_is_sampled_with_all_its_changes() {
    let checkpoint = bundled();
    let names = config(&checkpoint).tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (difference, lora) = (dir.path().join("difference.safetensors"), dir.path().join("lora.safetensors"));
    write_with(&difference, &names, "difference", |name, shape| vec![(name.to_owned(), shape.to_vec())]);
    write_lora(&lora, &names);
    let changed = checkpoint.model.merged(&checkpoint.model, |_| (0.9, 0.0)).unwrap();
    let hint = Planes::new([1, 3, 20, 24], vec![0.5; 3 * 20 * 24]).unwrap();
    for base in [&checkpoint.model, &changed] {
        let whole = Arc::new(ControlNet::open(&difference, Some(base), &Budget::unlimited("test")).unwrap());
        let whole = call_on(&Control::new(whole, hint.clone(), 1.0, [0.0, 1.0], None), [2, 2], None).unwrap();
        let (whole, lora) = (whole.middle.unwrap(), middle_on(&lora, Some(&base.weights)));
        assert!(largest(whole.clone() - lora) < 1e-5 * largest(whole));
    }
    let (own, others) = (middle_on(&lora, Some(&checkpoint.model.weights)), middle_on(&lora, Some(&changed.weights)));
    assert!(largest(own - others) > 1e-3);
}

#[test]
fn one_control_lora_serves_two_models_in_turn() {
    let checkpoint = bundled();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lora.safetensors");
    write_lora(&path, &config(&checkpoint).tensors().unwrap());
    let changed = checkpoint.model.merged(&checkpoint.model, |_| (0.9, 0.0)).unwrap();
    let network = ControlNetwork::open(&path, &Budget::unlimited("test")).unwrap();
    let hint = Planes::new([1, 3, 20, 24], vec![0.5; 3 * 20 * 24]).unwrap();
    let control = Control::new(network, hint, 1.0, [0.0, 1.0], None);
    for base in [&checkpoint.model, &changed, &checkpoint.model] {
        let shared = call_on(&control, [2, 2], Some(&base.weights)).unwrap().middle.unwrap();
        assert_eq!(largest(shared - middle_on(&path, Some(&base.weights))), 0.0);
    }
}

#[test]
fn a_control_lora_of_another_family_is_refused_by_its_tensor() {
    let checkpoint = bundled();
    let names = config(&checkpoint).tensors().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wide.safetensors");
    write_with(&path, &names, "lora_controlnet", |name, shape| match (name.strip_suffix(".weight"), shape) {
        (Some(stem), [rows, columns]) => {
            vec![(format!("{stem}.up"), vec![rows * 2, 2]), (format!("{stem}.down"), vec![2, *columns])]
        }
        _ => Vec::new(),
    });
    let hint = Planes::new([1, 3, 20, 24], vec![0.5; 3 * 20 * 24]).unwrap();
    let network = ControlNetwork::open(&path, &Budget::unlimited("test")).unwrap();
    let control = Control::new(network, hint, 1.0, [0.0, 1.0], None);
    let device = Device::flex();
    let (x, context) = (Tensor::<4>::ones([1, 4, 6, 5], &device), Tensor::<3>::ones([1, 7, 64], &device));
    let (sampling, context) = (&ModelSampling::eps(), &context);
    let on = |base| {
        let call = ControlCall { x: &x, sigma: 1.0, sampling, context, vector: None, conditions: 1, base };
        control.residuals(&call).unwrap_err().to_string()
    };
    let error = on(Some(&checkpoint.model.weights));
    assert!(error.contains("wide.safetensors") && error.contains(".up` is"), "{error}");
    let error = on(None);
    assert!(error.contains("only a Stable Diffusion UNet"), "{error}");
}

/// Which of `images` control images each latent of a batch was given: equal images make equal residuals.
fn dealt(make: impl Fn(Planes) -> Box<dyn ControlSource>, images: usize, batch: [usize; 2]) -> Vec<usize> {
    let grey = |n: usize| 0.2 + 0.1 * n as f32;
    let planes = |greys: &[f32]| {
        let values = greys.iter().flat_map(|grey| vec![*grey; 3 * 24 * 24]).collect();
        Planes::new([greys.len(), 3, 24, 24], values).unwrap()
    };
    let first = |residuals: kiln_models::Residuals| {
        residuals.input.into_iter().chain(residuals.output).chain([residuals.middle]).flatten().next().unwrap()
    };
    let all: Vec<f32> = (0..images).map(grey).collect();
    let residual = first(call_on(&*make(planes(&all)), batch, None).unwrap());
    let alone: Vec<Tensor<4>> =
        all.iter().map(|grey| first(call_on(&*make(planes(&[*grey])), [1, 1], None).unwrap())).collect();
    let nearest = |item: Tensor<4>| {
        let distance = |own: &Tensor<4>| largest(own.clone() - item.clone());
        (0..images).min_by(|a, b| distance(&alone[*a]).total_cmp(&distance(&alone[*b]))).unwrap()
    };
    (0..batch[0]).map(|n| nearest(residual.clone().narrow(0, n, 1))).collect()
}

#[test]
fn control_images_are_dealt_within_each_condition_in_turn() {
    let net = net(&bundled());
    let steered =
        |hint: Planes| -> Box<dyn ControlSource> { Box::new(Control::new(net.clone(), hint, 1.0, [0.0, 1.0], None)) };
    let kind = AdapterKind::Light { blocks: 1 };
    let config = AdapterConfig { image: 3, shuffle: 8, channels: vec![32, 64, 64], kind };
    let adapter = Arc::new(config.init(&common::weights(&config.tensors().unwrap())).unwrap());
    let adapted = |hint: Planes| -> Box<dyn ControlSource> {
        Box::new(AdapterControl::new(adapter.clone(), hint, 1.0, [0.0, 1.0], None))
    };
    for make in [&steered as &dyn Fn(Planes) -> Box<dyn ControlSource>, &adapted] {
        // Fewer than latents of a condition, and no divisor.
        assert_eq!(dealt(make, 2, [6, 2]), [0, 1, 0, 0, 1, 0]);
        assert_eq!(dealt(make, 2, [3, 1]), [0, 1, 0]);
        // More.
        assert_eq!(dealt(make, 3, [4, 2]), [0, 1, 0, 1]);
        assert_eq!(dealt(make, 3, [2, 1]), [0, 1]);
        // As many as latents in all.
        assert_eq!(dealt(make, 4, [4, 2]), [0, 1, 2, 3]);
        assert_eq!(dealt(make, 1, [4, 2]), [0, 0, 0, 0]);
    }
}

#[test]
fn there_is_one_residual_per_skip_and_one_for_the_middle() {
    let residuals = call(&control(1.0, [0.0, 1.0], None)).unwrap();
    assert_eq!(residuals.output.len(), 9);
    assert_eq!(residuals.output[0].as_ref().unwrap().dims(), [2, 64, 6, 5]);
    assert_eq!(residuals.middle.unwrap().dims(), [2, 128, 2, 2]);
}

#[test]
fn outside_of_its_range_only_the_one_before_it_speaks() {
    assert!(call(&control(1.0, [0.0, 0.3], None)).is_none());
    let before = Arc::new(control(1.0, [0.0, 1.0], None));
    let alone = call(&*before).unwrap();
    let stacked = call(&control(1.0, [0.6, 1.0], Some(before))).unwrap();
    assert_eq!(largest(alone.middle.unwrap() - stacked.middle.unwrap()), 0.0);
}

#[test]
fn strengths_multiply_and_stacks_add() {
    let one = call(&control(1.0, [0.0, 1.0], None)).unwrap().middle.unwrap();
    let before = Arc::new(control(0.5, [0.0, 1.0], None));
    let both = call(&control(1.5, [0.0, 1.0], Some(before))).unwrap().middle.unwrap();
    assert!(largest(both - one.clone() * 2.0) < 1e-5 * largest(one));
}

#[test]
fn the_unet_takes_what_the_controlnet_gives() {
    let model = bundled().model;
    let unet = model.network_as::<UNet>().unwrap();
    let device = Device::flex();
    let (x, context) = (Tensor::<4>::ones([2, 4, 6, 5], &device), Tensor::<3>::ones([2, 7, 64], &device));
    let run = |strength: f32| {
        let residuals = call(&control(strength, [0.0, 1.0], None)).unwrap();
        let extras = Extras { control: Some(&residuals), ..Extras::default() };
        unet.forward(x.clone(), &[500.0; 2], &context, &extras).unwrap()
    };
    let plain = unet.forward(x.clone(), &[500.0; 2], &context, &Extras::default()).unwrap();
    assert_eq!(largest(run(0.0) - plain.clone()), 0.0);
    assert!(largest(run(1.0) - plain) > 1e-3);
}
