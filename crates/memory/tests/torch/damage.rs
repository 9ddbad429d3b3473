//! Files that are cut, flipped, or nearly right.

use crate::{bytes, complaint, open, writer};
use kiln_memory::{Problem, TensorSource};
use proptest::prelude::*;
use writer::{Entry, Ops, SIX, Storage, archive, floats, legacy, with_pickle};

#[test]
fn a_file_cut_at_any_byte_is_an_error_with_a_byte() {
    for name in ["everything.pth", "everything_compressed.pth", "everything_legacy.pth", "embedding_of_parameters.pt"] {
        let whole = bytes(name);
        for n in 0..whole.len() {
            let text = complaint(&whole[..n]);
            let empty = n == 0 && text.contains("an empty file");
            assert!(empty || text.starts_with("byte "), "{name} {n}: {text}");
        }
    }
}

#[test]
fn a_cut_file_says_what_is_missing() {
    let archived = bytes("everything.pth");
    let text = complaint(&archived[..archived.len() / 2]);
    assert!(text.contains("the file ends here, but this zip archive's directory needs"), "{text}");
    let stream = bytes("everything_legacy.pth");
    let text = complaint(&stream[..stream.len() - 1]);
    let expected =
        format!("byte {}: the file ends here, but storage root needs {} bytes", stream.len() - 1, stream.len());
    assert!(text.starts_with(&expected), "{text}");
    let text = complaint(&stream[..300]);
    assert!(text.starts_with("byte 300: the file ends here, but this Python pickle needs 3"), "{text}");
}

#[test]
fn a_pickle_that_contradicts_its_storages_names_tensor_and_byte() {
    let weight = |offset, shape: &[i64], strides: &[i64]| with_pickle(Ops::weight(&SIX, offset, shape, strides), 6);
    let typed = |class, count| {
        let storage = Storage { class, key: "0", count };
        with_pickle(Ops::weight(&storage, 0, &[1], &[1]), 6)
    };
    for (file, expected) in [
        (weight(0, &[7], &[1]), "its last number ends at byte 28 of storage 0, which has 24"),
        (weight(4, &[3], &[1]), "its last number ends at byte 28"),
        (weight(0, &[2, 3], &[4, 1]), "its last number ends at byte 28"),
        (weight(-1, &[1], &[1]), "begins before its storage"),
        (weight(0, &[-1], &[1]), "shape that are no sizes"),
        (weight(5, &[2], &[-1]), "strides that are no sizes"),
        (weight(0, &[2, 2], &[1]), "has shape [2, 2] and strides [1]"),
        (weight(0, &[1 << 32, 1 << 32], &[0, 0]), "is impossible"),
        (weight(0, &[2, 2], &[1 << 62, 1]), "lead beyond every storage"),
        (weight(i64::MAX, &[1], &[1]), "lead beyond every storage"),
        (weight(0, &[1 << 40], &[0]), "a bomb?"),
        (weight(0, &[1; 65], &[1; 65]), "has 65 dimensions"),
        (typed("FloatStorage", 7), "storage 0 shall have 7 numbers of F32, the file has 24 bytes of it"),
        (typed("DoubleStorage", 4), "storage 0 shall have 4 numbers of F64"),
        (typed("FloatStorage", -1), "has a storage of an impossible length"),
        (typed("FloatStorage", i64::MAX), "storage 0 shall have"),
    ] {
        let text = complaint(&file);
        assert!(text.starts_with("byte ") && text.contains("tensor `w`: ") && text.contains(expected), "{text}");
    }
    let absent = archive(&[Entry::stored("a/data.pkl", Ops::weight(&SIX, 0, &[6], &[1]))]);
    assert!(complaint(&absent).contains("tensor `w`: there is no entry a/data/0 in this zip archive"));
}

#[test]
fn names_that_come_out_the_same_are_refused() {
    let one = |ops: Ops, key: &str| ops.text(key).tensor(&SIX, 0, &[6], &[1]);
    let twice = one(one(Ops::new().raw(b"}("), "w"), "w").raw(b"u.").0;
    assert!(complaint(&with_pickle(twice, 6)).contains("tensor `w`: the name occurs twice"));
    let dotted = one(Ops::new().raw(b"}("), "a.b").text("a").raw(b"}(");
    let dotted = one(dotted, "b").raw(b"uu.").0;
    assert!(complaint(&with_pickle(dotted, 6)).contains("tensor `a.b`: the name occurs twice"));
    let entries = || Entry::stored("a/data/0", floats(6));
    let archive = archive(&[Entry::stored("a/data.pkl", Ops::weight(&SIX, 0, &[6], &[1])), entries(), entries()]);
    assert!(complaint(&archive).contains("this zip archive has two entries `a/data/0`"));
}

#[test]
fn a_stream_whose_storages_disagree_is_refused_at_its_byte() {
    let pickle = Ops::weight(&SIX, 0, &[6], &[1]);
    let stored = |count: i64| [count.to_le_bytes().to_vec(), floats(6)].concat();
    assert!(open(&legacy(&pickle, &["0"], &stored(6))).is_ok());
    assert!(
        complaint(&legacy(&pickle, &["0"], &stored(5))).contains("storage 0 has 5 numbers here, and 6 in the pickle")
    );
    assert!(complaint(&legacy(&pickle, &["0"], &stored(-6))).contains("storage 0 has -6 numbers here"));
    assert!(complaint(&legacy(&pickle, &[], &stored(6))).contains("tensor `w`: the file doesn't list its storage 0"));
    assert!(complaint(&legacy(&pickle, &["0", "0"], &stored(6))).contains("the storage 0 occurs twice"));
    assert!(complaint(&legacy(&pickle, &["1"], &stored(6))).contains("nothing uses the storage 1"));
    let mut version = legacy(&pickle, &["0"], &stored(6));
    version[18] = 0xea;
    assert!(complaint(&version).contains("the version of this PyTorch file is Int(1002); 1001 is known"));
}

#[test]
fn a_zip_archive_or_a_pickle_that_is_no_pytorch_file_is_called_so() {
    let other = archive(&[Entry::stored("word/document.xml", b"<xml/>".to_vec())]);
    assert!(complaint(&other).contains("this is a zip archive without data.pkl, so no PyTorch file"));
    assert!(complaint(&archive(&[])).contains("zip archive without data.pkl"));
    let script = archive(&[Entry::stored("m/data.pkl", vec![]), Entry::stored("m/constants.pkl", vec![])]);
    assert!(complaint(&script).contains("a TorchScript archive"));
    assert!(complaint(b"\x80\x04}.").contains("this is a Python pickle that torch.save() did not write"));
    let mut tar = vec![0; 512];
    tar[..8].copy_from_slice(b"sys_info");
    tar[257..262].copy_from_slice(b"ustar");
    assert!(complaint(&tar).contains("a tar archive"));
    let order = |order: &[u8]| {
        let pickle = Entry::stored("a/data.pkl", Ops::weight(&SIX, 0, &[6], &[1]));
        archive(&[pickle, Entry::stored("a/data/0", floats(6)), Entry::stored("a/byteorder", order.to_vec())])
    };
    assert!(open(&order(b"big")).is_ok());
    assert!(complaint(&order(b"middle")).contains("byteorder is neither"));
}

#[test]
fn an_entry_that_is_compressed_badly_or_by_an_unknown_method_is_an_error() {
    let with = |storage: Entry| archive(&[Entry::stored("a/data.pkl", Ops::weight(&SIX, 0, &[6], &[1])), storage]);
    let good = || Entry::deflated("a/data/0", &floats(6));
    let read =
        |storage: Entry| open(&with(storage)).unwrap().read_f32("w", &mut [0.0; 6]).map_err(|error| error.to_string());
    assert_eq!(read(good()), Ok(()));
    for (change, what) in [
        (Entry { stored: vec![0xff; 9], ..good() }, "broken"),
        (Entry { stored: good().stored[..good().stored.len() - 4].to_vec(), ..good() }, "cut"),
        (Entry { claimed: 25, ..good() }, "longer than it is"),
        (Entry::deflated("a/data/0", &floats(7)).claiming(24), "shorter than it is"),
    ] {
        let error = read(change).unwrap_err();
        assert!(error.contains("tensor `w`: the compressed bytes that it lies in don't inflate"), "{what}: {error}");
    }
    let zstd = Entry { method: 93, ..good() };
    assert!(complaint(&with(zstd)).contains("is compressed by method 93"));
    let stored = Entry { method: 0, ..good() };
    assert!(complaint(&with(stored)).contains("is stored with another length than its own"));
}

impl Entry {
    fn claiming(self, claimed: usize) -> Self {
        Self { claimed, ..self }
    }
}

#[test]
fn numbers_that_are_stored_negated_are_not_taken_for_those_that_are_meant() {
    for flag in ["neg", "conj"] {
        let mut ops = Ops::new().raw(b"}").text("w").tensor(&SIX, 0, &[6], &[1]);
        let end = ops.0.len() - 2;
        ops.0.truncate(end); // tuple, call
        let file = with_pickle(ops.raw(b"}").text(flag).raw(b"\x88stRs.").0, 6);
        assert!(complaint(&file).contains(&format!("tensor `w`: is stored {flag}")));
    }
}

/// Every tensor of a file is read or is an error; nothing panics.
fn survives(bytes: &[u8]) {
    let Ok(file) = open(bytes) else { return };
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    for name in names {
        let elements = file.get(&name).unwrap().elements();
        assert!(elements <= 1 << 26);
        _ = file.read_f32(&name, &mut vec![0.0; elements]);
        _ = file.slice(&name).map(|bytes| bytes.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn flipped_and_cut_files_are_an_error_or_fine(
        which in 0..6usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let names = ["everything.pth", "everything_compressed.pth", "everything_legacy.pth", "lightning.ckpt", "nested.pt", "torch_2_embedding.pt"];
        let mut bytes = bytes(names[which]);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(&bytes);
    }

    #[test]
    fn any_opcodes_are_an_error_or_fine(ops in prop::collection::vec(opcode(), 0..60), is_legacy in any::<bool>()) {
        let pickle = [&[0x80, 2][..], &ops.concat(), b"."].concat();
        let stored = [6i64.to_le_bytes().to_vec(), floats(6)].concat();
        survives(&if is_legacy { legacy(&pickle, &["0"], &stored) } else { with_pickle(pickle, 6) });
    }

    #[test]
    fn shapes_and_strides_of_any_kind_are_judged_as_arithmetic_judges_them(
        offset in 0..8i64, dims in prop::collection::vec((0..4i64, 0..5i64), 0..4),
    ) {
        let (shape, strides): (Vec<i64>, Vec<i64>) = dims.iter().copied().unzip();
        let file = open(&with_pickle(Ops::weight(&SIX, offset, &shape, &strides), 6));
        let place = |index: &Vec<i64>| offset + index.iter().zip(&strides).map(|(i, s)| i * s).sum::<i64>();
        let places: Vec<i64> = indices(&shape).iter().map(place).collect();
        let fits = places.iter().all(|place| *place < 6);
        assert_eq!(file.is_ok(), fits, "{dims:?}");
        if let Ok(file) = file {
            let mut out = vec![-1.0; places.len()];
            file.read_f32("w", &mut out).unwrap();
            assert_eq!(out, places.iter().map(|place| *place as f32).collect::<Vec<_>>());
        }
    }
}

/// All places of a shape, row-major.
fn indices(shape: &[i64]) -> Vec<Vec<i64>> {
    shape.iter().fold(vec![vec![]], |before, side| {
        before.iter().flat_map(|index| (0..*side).map(move |i| [&index[..], &[i]].concat())).collect()
    })
}

/// An opcode with an argument that fits it more often than not.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    let plain = prop::sample::select(b"()}]NtRbseuaQ012ld\x85\x86\x87\x88\x89\x8f\x90\x91\x81\x94".to_vec())
        .prop_map(|op| vec![op]);
    let numbered = (prop::sample::select(b"qhKU\x8cC\x8a".to_vec()), 0..6u8).prop_map(|(op, n)| vec![op, n]);
    let text = prop::sample::select(vec!["storage", "0", "cpu", "w", "state_dict"])
        .prop_map(|text| Ops::default().text(text).0);
    let classes = vec![
        ("torch", "FloatStorage"),
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "Size"),
        ("numpy", "dtype"),
        ("numpy.core.multiarray", "scalar"),
        ("torch.nn.modules.container", "ParameterDict"),
    ];
    let global = prop::sample::select(classes).prop_map(|(module, name)| Ops::default().global(module, name).0);
    let tensor = (0..8i64, 0..8i64).prop_map(|(shape, stride)| Ops::default().tensor(&SIX, 0, &[shape], &[stride]).0);
    prop_oneof![6 => plain, 3 => numbered, 3 => text, 1 => global, 2 => tensor, 1 => any::<u8>().prop_map(|op| vec![op])]
}

#[test]
fn the_problem_of_a_refusal_has_its_parts() {
    let error = open(&bytes("asks_for_a_shell.pt")).unwrap_err();
    let Problem::Refused { at, name } = error.problem else { panic!("{error}") };
    assert!(at > 30 && at < 200 && name == "posix.system", "{at} {name}");
}
