//! Files of PyTorch in graphs: they are listed, loaded, and draw what ComfyUI draws; what can't be read says why.
//!
//! `data/brought` holds files and pictures of ComfyUI 0.3.75 on the CPU in f32.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{Bench, assets};
use kiln_exec::Prompt;
use kiln_memory::WeightFile;
use kiln_nodes::files::{DirKind, Folders, PngImage, read_png};
use serde_json::{Value, json};

fn brought(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/brought").join(name)
}

/// A file of the crate that reads them.
fn pickle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../memory/tests/data").join(name)
}

/// Puts a file where a graph finds it.
fn put(bench: &Bench, file: &Path, place: &str) {
    let to = bench.root.path().join(place);
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(file, to).unwrap();
}

fn complaint(bench: &Bench, graph: &Value) -> String {
    let error = bench.engine.run(Prompt::from_json(graph.to_string()).unwrap()).expect_err("this graph is broken");
    format!("{error:?} {error}")
}

/// The only image that a graph saves.
fn drawn(bench: &Bench, graph: &Value) -> PngImage {
    bench.engine.run(Prompt::from_json(graph.to_string()).unwrap()).unwrap();
    let files = bench.files(DirKind::Output);
    assert_eq!(files.len(), 1, "{files:?}");
    read_png(&bench.folder(DirKind::Output).join(&files[0])).unwrap()
}

/// How alike two images are, in dB; more is closer.
fn likeness(image: &PngImage, expected: &str) -> f64 {
    let expected = read_png(&brought(expected)).unwrap();
    assert_eq!(
        (image.width, image.height, image.pixels.len()),
        (expected.width, expected.height, expected.pixels.len())
    );
    let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
    let mean = image.pixels.iter().zip(&expected.pixels).map(square).sum::<f64>() / image.pixels.len() as f64;
    10.0 * (255.0f64.powi(2) / mean.max(1e-9)).log10()
}

/// A picture of the bundled model in three steps.
fn picture(text: &str, seed: u64, checkpoint: &str) -> Value {
    json!({
        "3": {"class_type": "KSampler", "inputs": {
            "seed": seed, "steps": 3, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
            "model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dog", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "t", "images": ["8", 0]}},
    })
}

fn upscaled(model: &str) -> Value {
    json!({
        "1": {"class_type": "LoadImage", "inputs": {"image": "in.png"}},
        "2": {"class_type": "UpscaleModelLoader", "inputs": {"model_name": model}},
        "3": {"class_type": "ImageUpscaleWithModel", "inputs": {"upscale_model": ["2", 0], "image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "u"}},
    })
}

const BUNDLED: &str = "fluent-tiny.safetensors";

#[test]
fn a_lora_whose_header_is_640_bytes_long_draws_its_picture() {
    let bench = Bench::new();
    put(&bench, &brought("header_640.safetensors"), "models/loras/header_640.safetensors");
    let mut graph = picture("a red fox", 11, BUNDLED);
    let inputs = json!({"model": ["4", 0], "lora_name": "header_640.safetensors", "strength_model": 1.0});
    graph["20"] = json!({"class_type": "LoraLoaderModelOnly", "inputs": inputs});
    graph["3"]["inputs"]["model"] = json!(["20", 0]);
    let likeness = likeness(&drawn(&bench, &graph), "header_640.png");
    assert!(likeness >= 40.0, "{likeness}");
}

#[test]
fn an_upscaler_in_a_pth_file_draws_its_picture() {
    let bench = Bench::new();
    put(&bench, &pickle("torch_2.pth"), "models/upscale_models/compact2x.pth");
    put(&bench, &brought("compact2x_in.png"), "input/in.png");
    let likeness = likeness(&drawn(&bench, &upscaled("compact2x.pth")), "compact2x.png");
    assert!(likeness >= 40.0, "{likeness}");
}

#[test]
fn an_embedding_in_a_pt_file_draws_its_picture() {
    let bench = Bench::new();
    put(&bench, &pickle("torch_2_embedding.pt"), "models/embeddings/style.pt");
    let image = drawn(&bench, &picture("embedding:style owl", 3, BUNDLED));
    let likeness = likeness(&image, "style_owl.png");
    assert!(likeness >= 40.0, "{likeness}");
}

#[test]
fn an_embedding_that_cannot_be_read_is_the_error_of_its_node() {
    let bench = Bench::new();
    put(&bench, &pickle("asks_for_a_shell.pt"), "models/embeddings/style.pt");
    put(&bench, &brought("compact2x_in.png"), "models/embeddings/picture.bin");
    for (name, expected) in [
        ("style", "style.pt: byte "),
        ("style", "this Python pickle asks for `posix.system`, which is no part of a tensor"),
        ("picture.bin", "picture.bin: byte 0: this is a PNG image, not a weight file"),
    ] {
        let text = complaint(&bench, &picture(&format!("embedding:{name} owl"), 3, BUNDLED));
        assert!(text.contains("CLIPTextEncode") && text.contains("\"6\""), "{text}");
        assert!(
            text.contains(&format!("CLIPTextEncode \"6\": embedding `{name}`: ")) && text.contains(expected),
            "{text}"
        );
        assert!(bench.files(DirKind::Output).is_empty(), "nothing is drawn");
    }
}

#[test]
fn a_model_that_cannot_be_read_says_why_and_never_that_there_is_none() {
    let bench = Bench::new();
    put(&bench, &brought("compact2x_in.png"), "input/in.png");
    let whole = std::fs::read(pickle("torch_2.pth")).unwrap();
    std::fs::create_dir_all(bench.root.path().join("models/upscale_models")).unwrap();
    for (name, bytes, expected) in [
        ("shell.pth", std::fs::read(pickle("asks_for_a_shell.pt")).unwrap(), "asks for `posix.system`"),
        ("old_shell.pth", std::fs::read(pickle("asks_for_a_shell_legacy.pt")).unwrap(), "asks for `posix.system`"),
        ("plain.pkl", std::fs::read(pickle("asks_for_a_shell.pkl")).unwrap(), "asks for `posix.system`"),
        ("cut.pth", whole[..9000].to_vec(), "byte 9000: the file ends here"),
        ("page.ckpt", b"<!DOCTYPE html><title>Log in</title>".to_vec(), "this is a web page"),
        ("pointer.pt", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "Git LFS pointer"),
        ("network.bin", b"\x08\x07\x12\x07pytorch".to_vec(), "an ONNX model"),
        ("zipped.pt2", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), "zip archive without data.pkl"),
        ("embedding.pt", std::fs::read(pickle("embedding.pt")).unwrap(), "embedding.pt"),
    ] {
        std::fs::write(bench.root.path().join("models/upscale_models").join(name), bytes).unwrap();
        assert!(Folders::under(bench.root.path()).models("upscale_models").contains(&name.to_owned()));
        let text = complaint(&bench, &upscaled(name));
        assert!(
            text.contains("UpscaleModelLoader") && text.contains("\"2\"") && text.contains(expected),
            "{name}: {text}"
        );
        assert!(text.contains(name) && !text.contains("there is no") && !text.contains("put the file"), "{text}");
    }
}

/// The bundled model as torch would have saved it: every tensor f16, each in an entry of its own.
fn as_ckpt(path: &Path) {
    let file = WeightFile::open(assets().join(BUNDLED)).unwrap();
    let text = |to: &mut Vec<u8>, text: &str| {
        to.extend([b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat());
    };
    let number = |to: &mut Vec<u8>, number: usize| to.extend([b"J", &(number as u32).to_le_bytes()[..]].concat());
    let mut pickle = b"\x80\x02}(X\x05\0\0\0epochK\x03X\x0a\0\0\0state_dict}(".to_vec();
    let mut entries = Vec::new();
    for (key, (name, info)) in file.tensors().enumerate() {
        assert_eq!(info.dtype.name(), "F16");
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nHalfStorage\n");
        text(&mut pickle, &key.to_string());
        pickle.extend(b"X\x03\0\0\0cpu");
        number(&mut pickle, info.elements());
        pickle.extend(b"tQK\0(");
        info.shape.iter().for_each(|side| number(&mut pickle, *side));
        pickle.extend(b"t(");
        (0..info.shape.len()).for_each(|axis| number(&mut pickle, info.shape[axis + 1..].iter().product()));
        pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
        entries.push((format!("archive/data/{key}"), file.bytes(name).unwrap().to_vec()));
    }
    pickle.extend(b"uu.");
    entries.insert(0, ("archive/data.pkl".to_owned(), pickle));
    std::fs::write(path, zip(&entries)).unwrap();
}

fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let lengths = [(bytes.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        let header = [&[20][..], &[0; 13], &lengths, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        let at = (file.len() as u32).to_le_bytes();
        directory.extend([b"PK\x01\x02\x14\0", &header[..], &[0; 10], &at, name.as_bytes()].concat());
        file.extend([b"PK\x03\x04", &header[..], name.as_bytes(), bytes].concat());
    }
    let counts = [(entries.len() as u16).to_le_bytes(), (entries.len() as u16).to_le_bytes()].concat();
    let places = [(directory.len() as u32).to_le_bytes(), (file.len() as u32).to_le_bytes()].concat();
    [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &counts, &places, &[0; 2]].concat()
}

#[test]
fn a_checkpoint_in_a_ckpt_file_draws_what_it_draws_as_safetensors_to_the_last_bit() {
    let [as_safetensors, as_pickle] = [Bench::new(), Bench::new()];
    std::fs::create_dir_all(as_pickle.root.path().join("models/checkpoints")).unwrap();
    as_ckpt(&as_pickle.root.path().join("models/checkpoints/old.ckpt"));
    let one = drawn(&as_safetensors, &picture("a red fox", 5, BUNDLED));
    let other = drawn(&as_pickle, &picture("a red fox", 5, "old.ckpt"));
    assert!(one.pixels == other.pixels);
}
