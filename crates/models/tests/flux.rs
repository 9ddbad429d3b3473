//! Flux.1, Flux.2 and Z-Image: numbers of the reference, names of every kind of file, paging, LoRA, and what doesn't fit.
//!
//! `data/flux.safetensors` holds some cases of tiny networks, computed by ComfyUI 0.3.75's own classes in f32; their
//! weights are hash-uniform v1 of the tensors' names.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use kiln_memory::{
    Budget, ComputedSource, Dtype, KeyMap, MemorySource, Patch as _, TensorShapes, TensorSource, WeightFile,
    hash_uniform,
};
use kiln_models::{
    ActivationTap, ModelWeights, ReferenceMethod,
    detect::families,
    flux::{self, Flux, FluxConfig, FluxInputs, FluxVersion, flux_keys},
    lora::{LoraFile, Part, Patch},
    vae::VaeConfig,
    zimage::{self, ZImage, ZImageConfig, zimage_keys},
};

fn flux1(head: usize, axes: [usize; 3], blocks: [usize; 2]) -> FluxConfig {
    FluxConfig {
        version: FluxVersion::One,
        hidden: 96,
        in_channels: 16,
        out_channels: 16,
        context: 64,
        vector: Some(32),
        double: blocks[0],
        single: blocks[1],
        guidance: true,
        mlp: 384,
        head,
        axes: axes.to_vec(),
        theta: 10_000.0,
    }
}

fn schnell() -> FluxConfig {
    FluxConfig { hidden: 64, mlp: 256, guidance: false, ..flux1(64, [8, 28, 28], [1, 2]) }
}

fn flux2() -> FluxConfig {
    FluxConfig {
        version: FluxVersion::Two,
        hidden: 128,
        in_channels: 128,
        out_channels: 128,
        context: 192,
        vector: None,
        mlp: 384,
        theta: 2000.0,
        axes: vec![16; 4],
        ..flux1(64, [0; 3], [2, 2])
    }
}

fn z_image() -> ZImageConfig {
    ZImageConfig {
        dim: 256,
        caption: 64,
        channels: 16,
        layers: 2,
        noise_refiners: 2,
        context_refiners: 2,
        head: 128,
        mlp: 768,
        time: [256, 256],
        padding: Some(32),
        axes: vec![32, 48, 48],
        theta: 256.0,
    }
}

/// Weights by the recipe, hashed under `prefix`.
fn weights(tensors: &TensorShapes, prefix: &str, budget: &Arc<Budget>) -> ModelWeights {
    let shapes = tensors.iter().map(|(name, shape)| (format!("{prefix}{name}"), shape.to_vec()));
    let source = ComputedSource::hash_uniform(shapes);
    let map = KeyMap::under(&TensorShapes::of(&source), prefix);
    ModelWeights::new(Arc::new(source), map, "tiny", budget)
}

fn unlimited() -> Arc<Budget> {
    Budget::unlimited("test")
}

fn network(config: &FluxConfig, prefix: &str) -> Flux {
    config.init(&weights(&config.tensors().unwrap(), prefix, &unlimited())).unwrap()
}

fn z_network(budget: &Arc<Budget>) -> ZImage {
    z_image().init(&weights(&z_image().tensors().unwrap(), "zimage.", budget)).unwrap()
}

struct Reference(Arc<WeightFile>);

impl Reference {
    fn open() -> Self {
        Self(WeightFile::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flux.safetensors")).unwrap())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let mut values = vec![0.0; self.0.get(name).unwrap().elements()];
        self.0.read_f32(name, &mut values).unwrap();
        values
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape: [usize; D] = self.0.get(name).unwrap().shape.clone().try_into().unwrap();
        Tensor::from_data(TensorData::new(self.floats(name), shape), &Device::flex())
    }

    /// Relative to the largest value, or to 1.
    fn assert_near(&self, name: &str, found: Tensor<4>, tolerance: f32) {
        let (found, expected) = (values(found), self.floats(name));
        assert_eq!(found.len(), expected.len(), "{name}");
        let largest = expected.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        let worst = found.iter().zip(&expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
        assert!(worst <= tolerance * largest, "{name}: {worst:e} apart, the largest is {largest}");
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec::<f32>().unwrap()
}

fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    kiln_memory::fill_uniform(name, 0.0, 1.0, &mut values);
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

const TOLERANCE: f32 = 2e-5;

#[test]
fn networks_give_the_references_numbers() {
    let reference = Reference::open();
    let run = |network: &Flux, case: &str, guidance: Option<Vec<f32>>, references: Vec<Tensor<4>>, method| {
        let input = |what: &str| format!("{case}.in.{what}");
        let y = input("y");
        let vector = reference.0.get(&y).map(|_| reference.tensor::<2>(&y));
        let inputs = FluxInputs { vector, guidance, references, method, ..FluxInputs::default() };
        let mut context = reference.tensor::<3>(&input("context"));
        if network.config().version == FluxVersion::Two {
            context = kiln_models::Network::context(network, context).unwrap();
        }
        let (x, t) = (reference.tensor(&input("x")), reference.floats(&input("t")));
        reference.assert_near(&format!("{case}.out"), network.forward(x, &t, context, &inputs).unwrap(), TOLERANCE);
    };
    let one = network(&flux1(48, [8, 20, 20], [2, 2]), "flux1.");
    run(&one, "flux1.odd_batch2", Some(vec![3.5, 1.0]), vec![], None);
    let references = (0..3).map(|i| reference.tensor(&format!("flux1.in.ref{i}"))).collect();
    run(&one, "flux1.ref_uxo", Some(vec![3.5]), references, Some(ReferenceMethod::Uxo));
    run(&network(&schnell(), "schnell."), "schnell.no_y", None, vec![], None);
    run(&network(&flux2(), "flux2."), "flux2.padded512", Some(vec![4.0]), vec![], None);
    let case = |what: &str| format!("zimage.odd_batch2.in.{what}");
    let (x, context) = (reference.tensor(&case("x")), reference.tensor(&case("context")));
    let t = reference.floats(&case("t"));
    let out = z_network(&unlimited()).forward(x, &t, context, ActivationTap::default()).unwrap();
    reference.assert_near("zimage.odd_batch2.out", out, TOLERANCE);
}

#[test]
fn autoencoders_of_sixteen_and_of_packed_channels_give_the_references_numbers() {
    let reference = Reference::open();
    let plain = VaeConfig {
        channels: 32,
        mult: vec![1, 2, 2],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 16,
        embed_dim: 16,
        encoder: Some(32),
        quant: false,
        post_quant: false,
        encoder_attention: vec![false; 3],
        decoder_attention: vec![false; 3],
        middle_attention: true,
        frames: false,
        packed: false,
    };
    let packed = VaeConfig {
        z_channels: 8,
        embed_dim: 8,
        encoder: Some(16),
        quant: true,
        post_quant: true,
        packed: true,
        ..plain.clone()
    };
    for (config, prefix) in [(plain, "ae."), (packed, "flux2ae.")] {
        let tensors = config.tensors().unwrap();
        assert_eq!(VaeConfig::from_names(&tensors).unwrap(), config);
        let vae = config.init(&weights(&tensors, prefix, &unlimited())).unwrap();
        let image = vae.decode(reference.tensor(&format!("{prefix}in.z"))).unwrap();
        reference.assert_near(&format!("{prefix}out.decode"), image, TOLERANCE);
        if config.packed {
            assert_eq!((config.scale(), config.latent_channels()), (8, 32));
            let latent = vae.encode(reference.tensor("flux2ae.in.img")).unwrap();
            reference.assert_near("flux2ae.out.encode", latent, TOLERANCE);
            let error = vae.decode(random("sd", [1, 4, 2, 2])).unwrap_err().to_string();
            assert!(error.contains("[batch, 32, h, w]"), "{error}");
        }
    }
}

/// Tensors and parameters of the published files, Z-Image's without its unused last normalisation.
#[test]
fn networks_of_full_size_are_told_by_names_and_shapes() {
    let dev = FluxConfig {
        hidden: 3072,
        context: 4096,
        vector: Some(768),
        mlp: 12_288,
        ..flux1(128, [16, 56, 56], [19, 38])
    };
    let fill = FluxConfig { in_channels: 96, ..dev.clone() };
    let schnell = FluxConfig { guidance: false, ..dev.clone() };
    let two = FluxConfig {
        hidden: 6144,
        context: 15_360,
        mlp: 18_432,
        head: 128,
        double: 8,
        single: 48,
        axes: vec![32; 4],
        ..flux2()
    };
    let of_flux = [
        (dev, 780, 11_901_408_320, "Flux.1"),
        (schnell, 776, 11_891_178_560, "Flux.1 schnell"),
        (fill, 780, 11_902_391_360, "Flux.1"),
        (two, 299, 32_223_281_152, "Flux.2"),
    ];
    for (config, tensors, parameters, family) in of_flux {
        let names = config.tensors().unwrap();
        assert_eq!((names.len(), total(&names)), (tensors, parameters), "{family}");
        assert_eq!(FluxConfig::from_names(&names).unwrap(), config);
        assert_eq!(family_of(&names), family);
    }
    let config = ZImageConfig { dim: 3840, caption: 2560, layers: 30, mlp: 10_240, time: [1024, 256], ..z_image() };
    let names = config.tensors().unwrap();
    assert_eq!((names.len(), total(&names)), (453, 6_154_912_576 - 3840));
    assert_eq!(ZImageConfig::from_names(&names).unwrap(), config);
    assert_eq!(family_of(&names), "Z-Image");
}

fn total(names: &TensorShapes) -> usize {
    names.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

fn family_of(names: &TensorShapes) -> &'static str {
    let prefixed = names.iter().map(|(name, shape)| (format!("model.diffusion_model.{name}"), shape));
    let (kind, found) = families().network(&prefixed.collect()).unwrap().unwrap();
    families().family(kind, &*found.config, &[]).unwrap().name
}

/// A file in diffusers' names: what is one layer here is apart, and the last modulation is the other way round.
struct Diffusers {
    file: MemorySource,
    native: ModelWeights,
}

impl Diffusers {
    fn rows(&self, key: &str, rows: Option<std::ops::Range<usize>>) -> (Vec<usize>, Vec<f32>) {
        let mut shape = self.native.map().place(key).unwrap().shape.clone();
        let mut values = vec![0.0; shape.iter().product()];
        self.native.weights().source().read_f32(key, &mut values).unwrap();
        if let Some(rows) = rows {
            let width = values.len() / shape[0];
            values = values[rows.start * width..rows.end * width].to_vec();
            shape[0] = rows.len();
        }
        (shape, values)
    }

    fn put(&mut self, name: &str, key: &str, rows: Option<std::ops::Range<usize>>) {
        for end in ["weight", "bias"] {
            let (shape, values) = self.rows(&format!("{key}.{end}"), rows.clone());
            self.file.insert_f32(format!("{name}.{end}"), &shape, values).unwrap();
        }
    }

    fn norm(&mut self, name: &str, key: &str) {
        let (shape, values) = self.rows(&format!("{key}.scale"), None);
        self.file.insert_f32(format!("{name}.weight"), &shape, values).unwrap();
    }
}

#[test]
fn a_file_in_diffusers_names_says_the_same_to_the_bit() {
    let config = flux1(48, [8, 20, 20], [1, 1]);
    let native = weights(&config.tensors().unwrap(), "flux1.", &unlimited());
    let mut to = Diffusers { file: MemorySource::new("diffusers"), native: native.clone() };
    let (h, thirds) = (96, |n: usize| Some(n * 96..(n + 1) * 96));
    to.put("x_embedder", "img_in", None);
    to.put("context_embedder", "txt_in", None);
    to.put("proj_out", "final_layer.linear", None);
    for (name, key) in [("timestep", "time"), ("guidance", "guidance"), ("text", "vector")] {
        to.put(&format!("time_text_embed.{name}_embedder.linear_1"), &format!("{key}_in.in_layer"), None);
        to.put(&format!("time_text_embed.{name}_embedder.linear_2"), &format!("{key}_in.out_layer"), None);
    }
    for end in ["weight", "bias"] {
        let (shape, mut values) = to.rows(&format!("final_layer.adaLN_modulation.1.{end}"), None);
        let half = values.len() / 2;
        values.rotate_left(half);
        to.file.insert_f32(format!("norm_out.linear.{end}"), &shape, values).unwrap();
    }
    let (from, key) = ("transformer_blocks.0", "double_blocks.0");
    for (n, (img, txt)) in [("to_q", "add_q_proj"), ("to_k", "add_k_proj"), ("to_v", "add_v_proj")].iter().enumerate() {
        to.put(&format!("{from}.attn.{img}"), &format!("{key}.img_attn.qkv"), thirds(n));
        to.put(&format!("{from}.attn.{txt}"), &format!("{key}.txt_attn.qkv"), thirds(n));
        to.put(&format!("single_{from}.attn.{img}"), "single_blocks.0.linear1", thirds(n));
    }
    for (name, layer) in [
        ("attn.to_out.0", "img_attn.proj"),
        ("attn.to_add_out", "txt_attn.proj"),
        ("norm1.linear", "img_mod.lin"),
        ("norm1_context.linear", "txt_mod.lin"),
        ("ff.net.0.proj", "img_mlp.0"),
        ("ff.net.2", "img_mlp.2"),
        ("ff_context.net.0.proj", "txt_mlp.0"),
        ("ff_context.net.2", "txt_mlp.2"),
    ] {
        to.put(&format!("{from}.{name}"), &format!("{key}.{layer}"), None);
    }
    for (name, layer) in [
        ("norm_q", "img_attn.norm.query_norm"),
        ("norm_k", "img_attn.norm.key_norm"),
        ("norm_added_q", "txt_attn.norm.query_norm"),
        ("norm_added_k", "txt_attn.norm.key_norm"),
    ] {
        to.norm(&format!("{from}.attn.{name}"), &format!("{key}.{layer}"));
    }
    to.put("single_transformer_blocks.0.proj_mlp", "single_blocks.0.linear1", Some(3 * h..7 * h));
    to.put("single_transformer_blocks.0.proj_out", "single_blocks.0.linear2", None);
    to.put("single_transformer_blocks.0.norm.linear", "single_blocks.0.modulation.lin", None);
    to.norm("single_transformer_blocks.0.attn.norm_q", "single_blocks.0.norm.query_norm");
    to.norm("single_transformer_blocks.0.attn.norm_k", "single_blocks.0.norm.key_norm");

    let names = TensorShapes::of(&to.file);
    let map = flux::diffusers(&names, "");
    let found = families().network(&names).unwrap().unwrap().1;
    assert_eq!(found.map, map);
    let other = ModelWeights::new(Arc::new(to.file), map, "diffusers", &unlimited());
    assert!(
        FluxConfig { axes: vec![], ..FluxConfig::from_names(&other.map().names()).unwrap() }
            == FluxConfig { axes: vec![], ..config.clone() }
    );
    let run = |weights: &ModelWeights| {
        let inputs = FluxInputs { guidance: Some(vec![3.5]), ..FluxInputs::default() };
        let (x, context) = (random("x", [1, 16, 4, 4]), random("context", [1, 5, 64]));
        values(config.init(weights).unwrap().forward(x, &[0.7], context, &inputs).unwrap())
    };
    assert_eq!(run(&other), run(&native));
}

#[test]
fn a_quarter_of_the_memory_gives_the_same_to_the_bit() {
    let config = flux2();
    let tensors = config.tensors().unwrap();
    let run = |budget: &Arc<Budget>| {
        let network = config.init(&weights(&tensors, "flux2.", budget)).unwrap();
        let inputs = FluxInputs { references: vec![random("ref", [1, 128, 3, 2])], ..FluxInputs::default() };
        let (x, context) = (random("x", [1, 128, 4, 4]), random("context", [1, 5, 192]));
        values(network.forward(x, &[0.7], context, &inputs).unwrap())
    };
    let quarter = Budget::new("test", total(&tensors) as u64);
    assert_eq!(run(&quarter), run(&unlimited()));
    let run = |budget: &Arc<Budget>| {
        let (x, context) = (random("x", [1, 16, 5, 4]), random("context", [1, 5, 64]));
        values(z_network(budget).forward(x, &[0.7], context, ActivationTap::default()).unwrap())
    };
    let quarter = Budget::new("test", total(&z_image().tensors().unwrap()) as u64);
    assert_eq!(run(&quarter), run(&unlimited()));
}

fn lora(tensors: &[(&str, [usize; 2])]) -> LoraFile {
    let mut source = MemorySource::new("lora");
    for (name, shape) in tensors {
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(name, shape, &mut values);
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        source.insert(*name, Dtype::F32, shape, bytes).unwrap();
    }
    LoraFile::new(Arc::new(source))
}

#[test]
fn an_adapter_for_a_part_of_a_layer_changes_that_part_alone() {
    let keys = flux_keys(&flux1(48, [8, 20, 20], [1, 1])).unwrap();
    let file = lora(&[
        ("transformer.transformer_blocks.0.attn.to_k.lora_A.weight", [2, 96]),
        ("transformer.transformer_blocks.0.attn.to_k.lora_B.weight", [96, 2]),
    ]);
    let found = file.find(&keys);
    assert_eq!((found.targets.len(), found.unmatched.len()), (1, 0));
    let target = &found.targets[0];
    assert_eq!(target.key, "diffusion_model.double_blocks.0.img_attn.qkv.weight");
    assert_eq!(target.part, Part::Rows { start: 96, len: 96 });
    assert_eq!(file.shape_mismatch(target, &[288, 96]), None);
    let mut weight = vec![0.0; 288 * 96];
    Patch { file: file.clone(), target: target.clone(), strength: 1.0 }.apply(&[288, 96], &mut weight).unwrap();
    let changed = |part: &[f32]| part.iter().any(|value| *value != 0.0);
    let [q, k, v] = [0, 1, 2].map(|third| changed(&weight[third * 96 * 96..(third + 1) * 96 * 96]));
    assert_eq!((q, k, v), (false, true, false));

    let keys = zimage_keys(&z_image()).unwrap();
    for start in ["diffusion_model.", "transformer.", "base_model.model."] {
        let place = keys.get(&format!("{start}layers.1.attention.to_v")).unwrap();
        assert_eq!(place.part, Part::Rows { start: 512, len: 256 }, "{start}");
    }
}

#[test]
fn adapters_of_control_models_and_of_uso_are_renamed_as_a_whole() {
    let file = lora(&[
        ("img_in.lora_A.weight", [2, 128]),
        ("img_in.lora_B.weight", [96, 2]),
        ("single_blocks.0.norm.key_norm.scale", [1, 48]),
    ]);
    let found = file.find(&flux_keys(&flux1(48, [8, 20, 20], [1, 1])).unwrap());
    assert!(found.unmatched.is_empty(), "{:?}", found.unmatched);
    let keys: Vec<&str> = found.targets.iter().map(|target| target.key.as_str()).collect();
    assert_eq!(keys, ["diffusion_model.img_in.weight", "diffusion_model.single_blocks.0.norm.key_norm.scale"]);
    let error = Patch { file: file.clone(), target: found.targets[0].clone(), strength: 1.0 };
    let error = error.apply(&[96, 64], &mut vec![0.0; 96 * 64]).unwrap_err();
    assert!(error.contains("[96, 128]"), "{error}");
    let file = lora(&[
        ("single_blocks.37.processor.qkv_lora.up.weight", [288, 2]),
        ("single_blocks.37.processor.qkv_lora.down.weight", [2, 96]),
        ("double_blocks.18.processor.qkv_lora2.up.weight", [288, 2]),
        ("double_blocks.18.processor.qkv_lora2.down.weight", [2, 96]),
    ]);
    let found = file.find(&flux_keys(&flux1(48, [8, 20, 20], [19, 38])).unwrap());
    assert!(found.unmatched.is_empty() && found.targets.len() == 2, "{found:?}");
}

#[test]
fn what_does_not_fit_is_named() {
    let network = network(&flux1(48, [8, 20, 20], [1, 1]), "flux1.");
    let run = |x: [usize; 4], context: [usize; 3], references: Vec<Tensor<4>>| {
        let inputs = FluxInputs { references, ..FluxInputs::default() };
        network.forward(random("x", x), &[0.5], random("context", context), &inputs).unwrap_err().to_string()
    };
    let error = run([1, 4, 4, 4], [1, 5, 64], vec![]);
    assert_eq!(error, "Flux: input `x` should be [batch, 16, h, w], found [1, 4, 4, 4]");
    let error = run([1, 16, 4, 4], [1, 5, 192], vec![]);
    assert!(error.contains("`context` should be [1, tokens, 64]"), "{error}");
    let error = run([1, 16, 4, 4], [1, 5, 64], vec![random("ref", [1, 128, 2, 2])]);
    assert!(error.contains("`reference latent` should be"), "{error}");
    let error = run([1, 16, 4, 4], [1, 5, 64], vec![random("ref", [3, 16, 2, 2])]);
    assert!(error.contains("1 or 1 of them") || error.contains("found [3]"), "{error}");

    let mut chroma = flux1(48, [8, 20, 20], [1, 1]).tensors().unwrap();
    chroma.insert("distilled_guidance_layer.norms.0.scale", [96]);
    assert!(FluxConfig::from_names(&chroma).unwrap_err().to_string().contains("Chroma"));
    assert!(families().network(&chroma).unwrap().is_none());
    let mut lumina = z_image().tensors().unwrap();
    lumina.insert("layers.0.adaLN_modulation.1.weight", [1024, 256]);
    assert!(ZImageConfig::from_names(&lumina).unwrap_err().to_string().contains("Lumina 2"));
    assert_eq!(zimage::keys(&lumina, "").len(), lumina.len());
}
