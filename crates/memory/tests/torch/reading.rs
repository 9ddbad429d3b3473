//! Files that are right.

use crate::{bytes, data, open, writer};
use kiln_memory::{Budget, Dtype, Reading, TensorSource, WeightFile, Weights, open_weights};

/// What `pickles.py` puts into its state dict: name, type, shape, numbers.
fn everything() -> Vec<(&'static str, Dtype, Vec<usize>, Vec<f32>)> {
    let quarter = |i: usize| i as f32 / 4.0;
    let at = |numbers: &[usize]| numbers.iter().map(|i| quarter(*i)).collect::<Vec<_>>();
    vec![
        ("plain", Dtype::F32, vec![2, 3, 4], (0..24).map(quarter).collect()),
        ("part", Dtype::F32, vec![2, 4], (4..12).map(quarter).collect()),
        ("transposed", Dtype::F32, vec![4, 3], at(&[12, 16, 20, 13, 17, 21, 14, 18, 22, 15, 19, 23])),
        ("every_other", Dtype::F32, vec![3], at(&[1, 3, 5])),
        ("repeated", Dtype::F32, vec![2, 2], at(&[6, 7, 6, 7])),
        ("scalar", Dtype::F32, vec![], at(&[5])),
        ("nothing", Dtype::F32, vec![0, 7], vec![]),
        ("f64", Dtype::F64, vec![2], vec![1.5, -2.25]),
        ("f16", Dtype::F16, vec![3], vec![0.5, -8.0, 65504.0]),
        ("bf16", Dtype::BF16, vec![2], vec![1.0, -2.0]),
        ("i64", Dtype::I64, vec![2], vec![-3.0, 1_099_511_627_776.0]),
        ("i32", Dtype::I32, vec![2], vec![7.0, -7.0]),
        ("i16", Dtype::I16, vec![2], vec![300.0, -300.0]),
        ("i8", Dtype::I8, vec![2], vec![1.0, -1.0]),
        ("u8", Dtype::U8, vec![2], vec![0.0, 255.0]),
        ("bool", Dtype::Bool, vec![3], vec![1.0, 0.0, 1.0]),
    ]
}

fn numbers(source: &dyn TensorSource, name: &str) -> Vec<f32> {
    let mut out = vec![0.0; source.info(name).unwrap().elements()];
    source.read_f32(name, &mut out).unwrap();
    out
}

#[test]
fn every_type_and_every_way_to_lie_in_a_storage_is_read_from_every_form() {
    for file in [
        "everything.pth",
        "everything_compressed.pth",
        "everything_big_endian.pth",
        "everything_protocol_5.pth",
        "everything_legacy.pth",
    ] {
        for reading in [Reading::Cached, Reading::PastCache] {
            let source = open_weights(data(file)).unwrap();
            source.set_reading(reading);
            let expected = everything();
            let names: Vec<&str> = expected.iter().map(|row| row.0).collect();
            assert_eq!(source.names()[..names.len()], names, "{file}");
            let weights = Weights::shared(source.clone(), "unet", &Budget::unlimited("host"));
            for (name, dtype, shape, values) in expected {
                let info = source.info(name).unwrap();
                assert_eq!((info.dtype, &info.shape, info.elements()), (dtype, &shape, values.len()), "{file} {name}");
                assert_eq!(numbers(&*source, name), values, "{file} {name}");
                assert_eq!(*weights.weight(name).unwrap().read().unwrap(), values, "{file} {name}");
                let middle = values.len() / 3..values.len() - values.len() / 4;
                let mut part = vec![0.0; middle.len()];
                source.read_part(name, middle.clone(), &mut part).unwrap();
                assert_eq!(part, values[middle], "{file} {name}");
            }
        }
    }
}

#[test]
fn what_lies_in_order_is_a_slice_of_the_map_and_what_does_not_is_none() {
    let file = WeightFile::open(data("everything.pth")).unwrap();
    let map = file.mapped().shared().clone();
    for name in ["plain", "part", "scalar", "f16", "bool"] {
        let slice = file.slice(name).unwrap();
        assert_eq!(map.slice_ref(&slice), slice, "{name}");
        assert_eq!(file.bytes(name).unwrap(), slice, "{name}");
    }
    for name in ["transposed", "every_other", "repeated"] {
        assert!(file.slice(name).is_none() && file.bytes(name).is_err(), "{name}");
    }
    let compressed = WeightFile::open(data("everything_compressed.pth")).unwrap();
    assert!(compressed.slice("plain").is_none());
    // Two names of one storage are one place.
    assert_eq!(file.slice("plain").unwrap()[16..].as_ptr(), file.slice("part").unwrap().as_ptr());
}

#[test]
fn a_stream_of_before_1_6_may_view_its_storages() {
    let source = open_weights(data("everything_legacy.pth")).unwrap();
    assert_eq!(numbers(&*source, "viewed"), [5.0, 6.0, 7.0, 8.0]);
    assert_eq!(numbers(&*source, "viewed_too"), [4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(numbers(&*source, "cuda"), [1.0, 2.0]);
}

#[test]
fn torchs_own_files_are_read() {
    let source = open_weights(data("torch_2.pth")).unwrap();
    let names = ["body.0.weight", "body.0.bias", "body.1.weight", "body.2.weight", "body.2.bias", "body.3.weight"];
    assert_eq!(source.names()[..6], names, "what is under `params`");
    assert_eq!(source.info("body.4.weight").unwrap().shape, [12, 16, 3, 3]);
    let first = numbers(&*source, "body.0.weight");
    assert_eq!((first[..3].to_vec(), first[431]), (vec![-0.026_256_768, -0.034_356_244, -0.251_320_87], -0.133_931_62));
    let last = numbers(&*source, "body.4.weight");
    assert_eq!((last[0], last[1727]), (0.144_970_28, 0.004_459_866));

    let file = WeightFile::open(data("torch_2_embedding.pt")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["string_to_token.*", "string_to_param.*"]);
    assert_eq!(file.get("string_to_param.*").unwrap().shape, [2, 64]);
    assert_eq!((file.metadata()["name"].as_str(), file.metadata()["step"].as_str()), ("style", "500"));
}

#[test]
fn a_checkpoint_of_lightning_is_its_state_dict_and_its_plain_values() {
    let file = WeightFile::open(data("lightning.ckpt")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["model.diffusion_model.out.0.weight"]);
    assert_eq!(numbers(&*file, "model.diffusion_model.out.0.weight"), [1.0, 2.0]);
    let metadata: Vec<(&str, &str)> =
        file.metadata().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("epoch", "21"),
        ("global_step", "470000"),
        ("pytorch-lightning_version", "1.4.2"),
        ("ema", "true"),
        ("hparams_name", "kwargs"),
        ("loss", "0.0625"),
        ("counted", "-5"),
    ];
    assert_eq!(metadata, expected);
}

#[test]
fn the_vectors_of_an_embedding_are_under_string_to_param() {
    let source = open_weights(data("embedding.pt")).unwrap();
    assert_eq!(source.names(), ["string_to_param.*"]);
    assert_eq!(numbers(&*source, "string_to_param.*"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let source = open_weights(data("embedding_of_parameters.pt")).unwrap();
    assert_eq!((source.names(), numbers(&*source, "string_to_param.*")), (vec!["string_to_param.*"], vec![7.0, 8.0]));
}

#[test]
fn dicts_and_lists_inside_are_part_of_the_names() {
    let file = WeightFile::open(data("nested.pt")).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["768.0.linear.weight", "fp8", "u16"]);
    assert_eq!((file.get("fp8").unwrap().dtype, numbers(&*file, "fp8")), (Dtype::F8E4M3, vec![1.0, -2.0]));
    assert_eq!((file.get("u16").unwrap().dtype, numbers(&*file, "u16")), (Dtype::U16, vec![1.0, 256.0]));
    let metadata =
        ["layer_structure", "losses", "activation_func", "is_layer_norm"].map(|key| file.metadata()[key].as_str());
    assert_eq!(metadata, ["[1, 2.5, true]", "20 values", "relu", "false"]);
}

/// A pickle of dicts in dicts, each with one tensor of six numbers or a dict.
fn of_dicts(paths: &[&[&str]]) -> Vec<u8> {
    let ops = paths.iter().fold(writer::Ops::new().raw(b"}"), |ops, path| {
        let down = path[..path.len() - 1].iter().fold(ops, |ops, key| ops.text(key).raw(b"}"));
        let tensor = down.text(path[path.len() - 1]).tensor(&writer::SIX, 0, &[6], &[1]);
        path.iter().fold(tensor, |ops, _| ops.raw(b"s"))
    });
    writer::with_pickle(ops.raw(b".").0, 6)
}

#[test]
fn the_wrapper_that_comyfui_takes_wins() {
    for (paths, names) in [
        (&[&["state_dict", "a"][..], &["params_ema", "b"]][..], &["a"][..]),
        (&[&["params", "a"], &["params_ema", "b"]], &["b"]),
        (&[&["model", "a"], &["params", "b"], &["net", "c"]], &["b"]),
        (&[&["optimizer", "a"], &["net", "b"]], &["b"]),
        (&[&["anything", "a"]], &["a"]),
        (&[&["state_dict", "params", "a"], &["other", "b"]], &["a"]),
        (&[&["encoder", "a"], &["decoder", "b"]], &["encoder.a", "decoder.b"]),
        (&[&["params"], &["b"]], &["params", "b"]),
        (&[&["one", "two", "a"]], &["two.a"]),
    ] {
        let file = open(&of_dicts(paths)).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), names, "{paths:?}");
    }
}

#[test]
fn a_tensor_alone_or_in_a_list_has_a_name_too() {
    let alone = writer::Ops::new().tensor(&writer::SIX, 0, &[6], &[1]).raw(b".").0;
    assert_eq!(open(&writer::with_pickle(alone, 6)).unwrap().names().collect::<Vec<_>>(), ["tensor"]);
    let list = writer::Ops::new().raw(b"](").tensor(&writer::SIX, 0, &[6], &[1]).tensor(&writer::SIX, 3, &[3], &[1]);
    let file = open(&writer::with_pickle(list.raw(b"e.").0, 6)).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(numbers(&*file, "1"), [3.0, 4.0, 5.0]);
}

#[test]
fn opening_reads_nothing_but_the_pickle_and_the_places() {
    // 4 GB of storages in a file that takes no disk.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.pth");
    let count = 1i64 << 29;
    let storage = writer::Storage { class: "FloatStorage", key: "0", count };
    let pickle = writer::Ops::weight(&storage, 0, &[count], &[1]);
    let numbers = (count as u64 * 4).to_le_bytes();
    let head = writer::legacy(&pickle, &["0"], &count.to_le_bytes());
    std::fs::write(&path, &head).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(head.len() as u64 + u64::from_le_bytes(numbers)).unwrap();
    let before = kiln_memory::process_memory().unwrap_or_default();
    let file = WeightFile::open(&path).unwrap();
    let grown = kiln_memory::process_memory().unwrap_or_default().anonymous.saturating_sub(before.anonymous);
    assert_eq!(file.get("w").unwrap().bytes() as u64, u64::from_le_bytes(numbers));
    assert!(grown < 16 << 20, "{grown}");
    let mut last = [1.0];
    file.read_part("w", count as usize - 1..count as usize, &mut last).unwrap();
    assert_eq!(last, [0.0]);
}

/// Lengths and places of an entry beyond 32 bits, as its extra field says them.
fn zip64(lengths: &[u64]) -> Vec<u8> {
    let values: Vec<u8> = lengths.iter().flat_map(|length| length.to_le_bytes()).collect();
    [&1u16.to_le_bytes()[..], &(values.len() as u16).to_le_bytes(), &values].concat()
}

#[test]
fn an_archive_of_more_than_4_gb_is_read_behind_them_too() {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.ckpt");
    let count = (5i64 << 30) / 4;
    let large = writer::Storage { class: "FloatStorage", key: "1", count };
    let ops = writer::Ops::new().raw(b"}(").text("large").tensor(&large, 0, &[count], &[1]);
    let pickle = ops.text("small").tensor(&writer::SIX, 1, &[2], &[1]).raw(b"u.").0;
    let entries = [
        ("a/data.pkl", pickle.len() as u64, pickle),
        ("a/data/1", count as u64 * 4, vec![]),
        ("a/data/0", 24, writer::floats(6)),
    ];
    let (mut file, mut directory, mut at) = (std::fs::File::create(&path).unwrap(), Vec::new(), 0);
    for (name, length, bytes) in entries {
        let header = |extra: &[u8]| {
            let fixed = [45u16, 0, 0, 0, 0, 0, 0].map(u16::to_le_bytes).concat();
            let names = [name.len() as u16, extra.len() as u16].map(u16::to_le_bytes).concat();
            [&fixed[..], &[0xff; 8], &names].concat()
        };
        let (here, there) = (zip64(&[length, length]), zip64(&[length, length, at]));
        directory
            .extend([b"PK\x01\x02\x2d\0", &header(&there)[..], &[0; 10], &[0xff; 4], name.as_bytes(), &there].concat());
        file.seek(SeekFrom::Start(at)).unwrap();
        let local = [b"PK\x03\x04", &header(&here)[..], name.as_bytes(), &here].concat();
        file.write_all(&[local.clone(), bytes].concat()).unwrap();
        at += local.len() as u64 + length;
    }
    let end = at + directory.len() as u64;
    let record = [[3, 3, directory.len() as u64, at].map(u64::to_le_bytes).concat()].concat();
    let record = [&b"PK\x06\x06"[..], &44u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8], &record].concat();
    let locator = [&b"PK\x06\x07\0\0\0\0"[..], &end.to_le_bytes(), &1u32.to_le_bytes()].concat();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[directory, record, locator, [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0; 2]].concat()].concat())
        .unwrap();

    let file = WeightFile::open(&path).unwrap();
    assert_eq!(file.get("large").unwrap().bytes(), 5 << 30);
    assert_eq!(numbers(&*file, "small"), [1.0, 2.0]);
}

#[test]
fn a_file_that_is_cut_while_open_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.pth");
    std::fs::write(&path, bytes("everything_compressed.pth")).unwrap();
    let file = WeightFile::open(&path).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let error = file.read_f32("plain", &mut [0.0; 24]).unwrap_err().to_string();
    assert!(error.contains("changed while it was in use") && error.contains("model.pth"), "{error}");
}

#[test]
fn shards_of_pickles_read_as_one() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(data("everything.pth"), dir.path().join("pytorch_model-00001-of-00002.bin")).unwrap();
    std::fs::copy(data("lightning.ckpt"), dir.path().join("pytorch_model-00002-of-00002.bin")).unwrap();
    let index = r#"{"weight_map":{"f16":"pytorch_model-00001-of-00002.bin",
        "model.diffusion_model.out.0.weight":"pytorch_model-00002-of-00002.bin"}}"#;
    let path = dir.path().join("pytorch_model.bin.index.json");
    std::fs::write(&path, index).unwrap();
    let source = open_weights(path).unwrap();
    assert_eq!(source.names(), ["f16", "model.diffusion_model.out.0.weight"]);
    assert_eq!(numbers(&*source, "f16"), [0.5, -8.0, 65504.0]);
}
