//! Files that are broken, foreign, or right: what opening them says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/broken.rs"]
mod broken;

use kiln_memory::{FormatError, Problem, WeightFile};
use proptest::prelude::*;
use std::{path::PathBuf, sync::Arc};

fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend((0..data).map(|i| i as u8));
    bytes
}

fn open(bytes: &[u8]) -> Result<Arc<WeightFile>, FormatError> {
    broken::open("model.safetensors", bytes)
}

fn complaint(bytes: &[u8]) -> String {
    broken::complaint("model.safetensors", bytes)
}

const TWO: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[],"data_offsets":[8,10]},"__metadata__":{"format":"pt"}}"#;

#[test]
fn a_good_file_tells_names_shapes_types_and_bytes() {
    let f = open(&file(TWO, 10)).unwrap();
    assert_eq!(f.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(f.get("b").unwrap().elements(), 1);
    assert_eq!(f.bytes("b").unwrap(), [8, 9]);
    assert_eq!(f.metadata()["format"], "pt");
    let missing = f.bytes("c").unwrap_err();
    assert!(missing.to_string().contains("there is no tensor `c`"));
}

#[test]
fn a_missing_name_comes_with_the_closest_one() {
    let header = r#"{"unet.out.2.weight":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"vae.q":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}"#;
    let f = open(&file(header, 1)).unwrap();
    assert_eq!(f.bytes("unet.out.1.weight").unwrap_err().closest.as_deref(), Some("unet.out.2.weight"));
    assert_eq!(f.bytes("zzz").unwrap_err().closest, None);
}

#[test]
fn a_file_that_is_something_else_is_called_by_its_name() {
    for (bytes, name) in [
        (&b"PK\x03\x04 archive/data.pkl"[..], "zip archive"),
        (b"\x80\x02}q\x00", "Python pickle"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><title>Log in</title>", "web page"),
        (b"{\"error\": \"not found\"}", "JSON"),
        (b"Entry not found", "text file"),
        (b"", "empty file"),
    ] {
        let text = complaint(bytes);
        assert!(text.contains(name), "{text}");
    }
    assert!(matches!(
        WeightFile::open(std::env::temp_dir()).unwrap_err().problem,
        Problem::NotWeights { found: "a folder" }
    ));
    let missing = WeightFile::open(PathBuf::from("no/such/file.safetensors")).unwrap_err();
    assert!(missing.to_string().starts_with("no/such/file.safetensors: "));
}

#[test]
fn other_foreign_files_are_called_by_their_names_too() {
    for (bytes, name) in [
        (&b"\x08\x07\x12\x07pytorch\x1a\x052.4.0"[..], "an ONNX model"),
        (b"\x08\x0a:\xff\x01\x0a\x20", "an ONNX model"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "a JPEG image"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "a gzip archive"),
        (b"BZh91AY&SY", "a bzip2 archive"),
        (b"tjgg\x01\x00\x00\x00", "GGML file of before GGUF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
    ] {
        let text = complaint(bytes);
        assert!(text.contains(name), "{text}");
    }
}

/// A file whose header is exactly so long: blanks after the object belong to it.
fn with_header_of(length: usize) -> Vec<u8> {
    file(&(TWO.to_owned() + &" ".repeat(length - TWO.len())), 10)
}

#[test]
fn a_header_is_as_long_as_it_likes() {
    // What two bytes of another format's magic number say as a length: pickles of every protocol, gzip, ONNX, bzip2.
    let pickles = (1..=5).flat_map(|protocol| [0, 1, 7, 200].map(|high| 0x80 | protocol << 8 | high << 16));
    let others = [0x8b1f, 0x01_8b1f, 0x12_0708, 0x5a42, 0x68_5a42, 0x4b50, 0x5d, 0x0a7b, 0x227b];
    let all_second_bytes = (1..=255).map(|high| 0x80 | high << 8);
    let lengths = pickles.chain(others).chain(all_second_bytes).filter(|length| *length >= TWO.len());
    for length in lengths.chain(TWO.len()..TWO.len() + 300) {
        let file = open(&with_header_of(length)).unwrap_or_else(|error| panic!("{length}: {error}"));
        assert_eq!(file.bytes("b").unwrap(), [8, 9], "{length}");
    }
}

#[test]
fn not_even_three_or_four_bytes_of_a_magic_number_make_a_header_something_else() {
    // `ff d8 ff` begins a JPEG image, `PK\x03\x04` a zip archive.
    for length in [0xff_d8ff, 0x0403_4b50] {
        let file = open(&with_header_of(length)).unwrap_or_else(|error| panic!("{length}: {error}"));
        assert_eq!(file.bytes("b").unwrap(), [8, 9], "{length}");
    }
}

#[test]
fn a_truncated_file_whose_length_looks_like_a_pickle_still_says_where_it_ends() {
    let whole = with_header_of(640);
    for n in [8, 9, 100, 647] {
        let text = complaint(&whole[..n]);
        assert!(text.starts_with(&format!("byte {n}: the file ends here, but the header needs 648")), "{text}");
    }
}

#[test]
fn a_truncated_file_says_where_it_ends() {
    let whole = file(TWO, 10);
    for n in [1, 7, 8, 20, whole.len() - 11] {
        let text = complaint(&whole[..n]);
        assert!(text.starts_with(&format!("byte {n}: the file ends here")), "{text}");
    }
    let text = complaint(&whole[..whole.len() - 1]);
    assert!(text.contains("tensor `b`") && text.contains("truncated?"), "{text}");
}

#[test]
fn a_header_that_contradicts_itself_names_the_tensor_and_the_byte() {
    let one = |dtype: &str, shape: &str, a: u64, b: u64| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{a},{b}]}}}}"#)
    };
    for (header, data, expected) in [
        (one("F32", "[2]", 0, 9), 9, "byte 9: tensor `w`: shape [2] of F32 takes 8 bytes, its range has 9"),
        (one("F32", "[2]", 8, 0), 8, "byte 9: tensor `w`: its data ends (0) before it starts (8)"),
        (one("F99", "[2]", 0, 8), 8, "byte 9: tensor `w`: unknown dtype `F99`"),
        (one("F4", "[3]", 0, 1), 1, "takes an impossible number of bytes"),
        (one("F32", "[4294967296,4294967296,4]", 0, 8), 8, "takes an impossible number of bytes"),
        (one("U8", "[2]", 0, 2), 5, "3 bytes follow the last tensor"),
        (one("U8", "[2]", 3, 5), 5, "there are 3 bytes between the header and its data"),
    ] {
        let text = complaint(&file(&header, data));
        assert!(text.contains(expected), "{text}");
    }
    let overlap =
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    let text = complaint(&file(overlap, 6));
    assert!(text.contains("tensor `b`: its data starts inside a"), "{text}");
}

#[test]
fn duplicate_names_are_refused_though_many_readers_take_them() {
    let twice =
        r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    assert!(complaint(&file(twice, 1)).contains("the tensor name `a` occurs twice"));
    let field = r#"{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#;
    assert!(complaint(&file(field, 1)).contains("the field `dtype` occurs twice"));
}

#[test]
fn a_header_of_absurd_length_or_broken_text_is_refused_at_its_byte() {
    let mut absurd = file(TWO, 10);
    absurd[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(complaint(&absurd).starts_with("byte 0: the header claims 18446744073709551615 bytes"));
    let mut bad = file(TWO, 10);
    bad[8 + 2] = 0xff;
    assert_eq!(complaint(&bad), "byte 10: the header is not UTF-8");
    assert!(complaint(&file("[]", 0)).contains("doesn't start with `{`"));
    let text = complaint(&file(r#"{"a":{"dtype":"U8","#, 0));
    assert!(text.starts_with("byte 26: the header can't be read: EOF"), "{text}");
}

#[test]
fn tensors_of_no_elements_and_scalars_are_fine() {
    let header = r#"{"none":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"one":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}  "#;
    let f = open(&file(header, 8)).unwrap();
    assert!(f.bytes("none").unwrap().is_empty());
    assert_eq!(f.get("one").unwrap().elements(), 1);
}

#[test]
fn a_file_that_is_truncated_or_written_to_while_open_is_an_error_and_not_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    std::fs::write(&path, file(TWO, 10)).unwrap();
    let f = WeightFile::open(&path).unwrap();
    f.mapped().check_now().unwrap();
    let handle = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    handle.set_len(40).unwrap();
    let text = f.mapped().check_now().unwrap_err().to_string();
    assert!(text.contains("changed while it was in use") && text.contains("40 now"), "{text}");
}

#[test]
fn a_file_replaced_by_renaming_another_over_it_goes_on_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("model.safetensors"), dir.path().join("new"));
    std::fs::write(&path, file(TWO, 10)).unwrap();
    let f = WeightFile::open(&path).unwrap();
    std::fs::write(&other, b"something else").unwrap();
    std::fs::rename(&other, &path).unwrap();
    f.mapped().check_now().unwrap();
    assert_eq!(f.bytes("b").unwrap(), [8, 9]);
}

/// Name, shape and bytes of every tensor, sorted.
type Found = Vec<(String, Vec<usize>, Vec<u8>)>;

/// Whether the `safetensors` crate takes the same bytes, and what it finds.
fn oracle(bytes: &[u8]) -> Option<Found> {
    let parsed = safetensors::SafeTensors::deserialize(bytes).ok()?;
    let mut all: Vec<_> =
        parsed.tensors().into_iter().map(|(n, t)| (n, t.shape().to_vec(), t.data().to_vec())).collect();
    all.sort();
    Some(all)
}

fn ours(bytes: &[u8]) -> Option<Found> {
    let f = open(bytes).ok()?;
    let mut all: Vec<_> =
        f.tensors().map(|(n, t)| (n.to_owned(), t.shape.clone(), f.bytes(n).unwrap().to_vec())).collect();
    all.sort();
    Some(all)
}

/// What we refuse and the crate takes: duplicate names and fields, and files that start like another format.
fn stricter(bytes: &[u8]) -> bool {
    let text = open(bytes).unwrap_err().to_string();
    text.contains("occurs twice") || text.contains("not a weight file") || text.contains("doesn't start with")
}

fn agree(bytes: &[u8]) {
    match (ours(bytes), oracle(bytes)) {
        (Some(a), Some(b)) => assert_eq!(a, b),
        (Some(_), None) => panic!("accepted what the safetensors crate refuses: {:?}", String::from_utf8_lossy(bytes)),
        (None, Some(_)) => assert!(stricter(bytes), "{}", open(bytes).unwrap_err()),
        (None, None) => {}
    }
}

/// Headers that are nearly right: contiguous tensors, then one number or name nudged.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let tensor = (0..6usize, prop::collection::vec(0..4usize, 0..3));
    (prop::collection::vec(tensor, 0..6), -2..3i64, 0..8usize, -3..4i64).prop_map(|(tensors, nudge, which, tail)| {
        let dtypes = [("U8", 1), ("F16", 2), ("BF16", 2), ("F32", 4), ("F8_E4M3", 1), ("I64", 8)];
        let (mut at, mut entries) = (0i64, vec![]);
        for (i, (dtype, shape)) in tensors.iter().enumerate() {
            let (name, size) = dtypes[*dtype];
            let start = at;
            at += shape.iter().product::<usize>() as i64 * size;
            let start = if i == which { (start + nudge).max(0) } else { start };
            let end = if i + 4 == which { (at + nudge).max(0) } else { at };
            entries.push(format!(r#""t{i}":{{"dtype":"{name}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
        }
        let data = (at + if which == 7 { tail } else { 0 }).max(0) as usize;
        file(&format!("{{{}}}", entries.join(",")), data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nearly_right_headers_are_judged_as_the_safetensors_crate_judges_them(bytes in nearly_right()) {
        agree(&bytes);
    }

    #[test]
    fn flipped_and_cut_files_are_judged_as_the_safetensors_crate_judges_them(
        flips in prop::collection::vec((0..170usize, any::<u8>()), 0..4), cut in 0..200usize,
    ) {
        let mut bytes = file(TWO, 10);
        for (at, byte) in flips {
            let n = bytes.len();
            bytes[at % n] = byte;
        }
        bytes.truncate(cut.max(1));
        agree(&bytes);
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        agree(&bytes);
    }
}
