//! GGUF files and sharded checkpoints, good and broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Budget, Dtype, Reading, TensorSource, WeightFile, Weights, decode_f32, open_weights};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// Writes GGUF as its description says, independent of the reader.
#[derive(Default)]
struct Gguf {
    pairs: Vec<u8>,
    pair_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

fn text(to: &mut Vec<u8>, s: &str) {
    to.extend((s.len() as u64).to_le_bytes());
    to.extend(s.bytes());
}

impl Gguf {
    fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        text(&mut self.pairs, key);
        self.pairs.extend(kind.to_le_bytes());
        self.pairs.extend(value);
        self.pair_count += 1;
        self
    }

    /// Dimensions innermost first, as in the file.
    fn tensor(mut self, name: &str, dims: &[u64], kind: u32, bytes: &[u8]) -> Self {
        text(&mut self.tensors, name);
        self.tensors.extend((dims.len() as u32).to_le_bytes());
        self.tensors.extend(dims.iter().flat_map(|d| d.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend((self.data.len() as u64).to_le_bytes());
        self.tensor_count += 1;
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(32), 0);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend(self.tensor_count.to_le_bytes());
        out.extend(self.pair_count.to_le_bytes());
        out.extend(&self.pairs);
        out.extend(&self.tensors);
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(&self.data);
        out
    }
}

fn written(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn sample() -> Gguf {
    let mut name = Vec::new();
    text(&mut name, "a test");
    let floats: Vec<u8> = (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    let mut q8 = half::f16::from_f32(0.5).to_le_bytes().to_vec();
    q8.extend((0..32u8).map(|i| i.wrapping_sub(16)));
    let mut shape = 5u32.to_le_bytes().to_vec();
    shape.extend(2u64.to_le_bytes());
    shape.extend([4i32.to_le_bytes(), 8i32.to_le_bytes()].concat());
    Gguf::default()
        .pair("general.name", 8, &name)
        .pair("general.file_type", 4, &7u32.to_le_bytes())
        .pair("comfy.gguf.orig_shape.q", 9, &shape)
        .tensor("f", &[3, 2], 0, &floats)
        .tensor("q", &[32], 8, &q8)
}

#[test]
fn a_gguf_file_reads_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = open_weights(written(&dir, "m.gguf", &sample().bytes())).unwrap();
    assert_eq!(source.names(), ["f", "q"]);
    assert_eq!(
        (source.info("f").unwrap().shape.as_slice(), source.info("q").unwrap().dtype),
        (&[2, 3][..], Dtype::Q8_0)
    );
    assert_eq!(source.info("q").unwrap().shape, [4, 8], "as it was before it was flattened");
    let mut out = [0.0; 6];
    source.read_f32("f", &mut out).unwrap();
    assert_eq!(out, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let mut out = [0.0; 32];
    source.read_f32("q", &mut out).unwrap();
    assert_eq!((out[0], out[31]), (-8.0, 7.5));
    let file = WeightFile::open(dir.path().join("m.gguf")).unwrap();
    assert_eq!(
        (file.metadata()["general.name"].as_str(), file.metadata()["general.file_type"].as_str()),
        ("a test", "7")
    );
}

#[test]
fn a_broken_gguf_file_is_told_by_its_byte() {
    let dir = tempfile::tempdir().unwrap();
    let complaint = |bytes: &[u8]| WeightFile::open(written(&dir, "m.gguf", bytes)).unwrap_err().to_string();
    let good = sample().bytes();
    for n in [5, 20, 60, 200, good.len() - 33] {
        let error = complaint(&good[..n]);
        assert!(
            error.contains("the file ends here") || error.contains("don't fit") || error.contains("truncated?"),
            "{error}"
        );
    }
    let mut old = good.clone();
    old[4] = 1;
    assert!(complaint(&old).contains("byte 4: GGUF version 1"));
    assert!(complaint(&Gguf::default().tensor("t", &[32], 9, &[0; 36]).bytes()).contains("type 9 (Q8_1) is not read"));
    assert!(complaint(&Gguf::default().tensor("t", &[30], 8, &[0; 34]).bytes()).contains("no whole blocks of Q8_0"));
    let twice = Gguf::default().tensor("t", &[2], 0, &[0; 8]).tensor("t", &[2], 0, &[0; 8]);
    assert!(complaint(&twice.bytes()).contains("tensor `t`: the name occurs twice"));
    let mut overlap = Gguf::default().tensor("a", &[64], 0, &[0; 256]).tensor("b", &[64], 0, &[0; 256]);
    let at = overlap.tensors.len() - 8;
    overlap.tensors[at..].copy_from_slice(&32u64.to_le_bytes());
    assert!(complaint(&overlap.bytes()).contains("tensor `b`: its data starts inside a"));
    let mut odd = Gguf::default().tensor("a", &[1], 0, &[0; 4]);
    let at = odd.tensors.len() - 8;
    odd.tensors[at..].copy_from_slice(&4u64.to_le_bytes());
    assert!(complaint(&odd.bytes()).contains("offset 4 is not a multiple of 32"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_damaged_gguf_file_is_an_error_or_fine_and_never_a_panic(
        flips in prop::collection::vec((4..420usize, any::<u8>()), 1..5), cut in 0..600usize,
    ) {
        let mut bytes = sample().bytes();
        for (at, byte) in flips {
            let n = bytes.len();
            bytes[at % n] = byte;
        }
        bytes.truncate(cut.max(4));
        let dir = tempfile::tempdir().unwrap();
        if let Ok(file) = WeightFile::open(written(&dir, "m.gguf", &bytes)) {
            for (name, info) in file.tensors() {
                let mut out = vec![0.0; info.elements()];
                file.read_f32(name, &mut out).unwrap();
            }
        }
    }
}

fn shard(dir: &Path, file: &str, tensor: &str, value: f32) {
    let header = format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(value.to_le_bytes());
    std::fs::write(dir.join(file), bytes).unwrap();
}

#[test]
fn a_sharded_checkpoint_reads_as_one() {
    let dir = tempfile::tempdir().unwrap();
    shard(dir.path(), "m-1.safetensors", "a", 1.0);
    shard(dir.path(), "m-2.safetensors", "b", 2.0);
    let index = br#"{"metadata":{"total_size":8},"weight_map":{"b":"m-2.safetensors","a":"m-1.safetensors"}}"#;
    let source = open_weights(written(&dir, "m.safetensors.index.json", index)).unwrap();
    assert_eq!(source.names(), ["b", "a"]);
    let mut out = [0.0];
    source.read_f32("b", &mut out).unwrap();
    assert_eq!(out, [2.0]);
    assert!(source.read_f32("c", &mut out).unwrap_err().to_string().contains("index.json: there is no tensor `c`"));
}

#[test]
fn an_index_that_is_wrong_names_the_tensor_or_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    shard(dir.path(), "m-1.safetensors", "a", 1.0);
    let complaint = |index: &str| {
        open_weights(written(&dir, "m.index.json", index.as_bytes())).map(|_| ()).unwrap_err().to_string()
    };
    assert!(
        complaint(r#"{"weight_map":{"b":"m-1.safetensors"}}"#)
            .contains("tensor `b`: the index says it is in m-1.safetensors, but it isn't")
    );
    assert!(complaint(r#"{"weight_map":{"a":"../m-1.safetensors"}}"#).contains("not a plain file name"));
    assert!(complaint(r#"{"weight_map":{"a":"none.safetensors"}}"#).contains("none.safetensors: "));
    assert!(complaint("{").contains("the index of a sharded checkpoint can't be read"));
}

/// Numbers that have nothing special about them, as bytes; scales are kept small so that nothing is infinite.
fn blocks(dtype: Dtype, count: usize) -> Vec<u8> {
    let (_, bytes) = dtype.block();
    let mut x = 0x9e37_79b9u32;
    let mut all: Vec<u8> = std::iter::repeat_with(|| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    })
    .take(count * bytes)
    .collect();
    let scales: &[usize] = match dtype {
        Dtype::Q8_0 | Dtype::Q4_0 | Dtype::Q5_0 | Dtype::Iq4Nl | Dtype::Iq4Xs => &[0],
        Dtype::Q4_1 | Dtype::Q5_1 | Dtype::Q4K | Dtype::Q5K => &[0, 2],
        Dtype::Q2K => &[80, 82],
        Dtype::Q3K => &[108],
        Dtype::Q6K => &[208],
        _ => &[],
    };
    for block in all.chunks_exact_mut(bytes) {
        for at in scales {
            block[*at..at + 2].copy_from_slice(&half::f16::from_f32(0.125).to_le_bytes());
        }
    }
    all
}

/// Each kind's own decoding is compared with a second one in `decoding.rs`; here with what comes out of a file, by every
/// way of reading it, whole, in part, and as a weight.
#[test]
fn every_kind_of_a_gguf_file_is_decoded_at_use() {
    let kinds = [
        ("f32", 0, Dtype::F32, 64),
        ("f16", 1, Dtype::F16, 64),
        ("q4_0", 2, Dtype::Q4_0, 96),
        ("q4_1", 3, Dtype::Q4_1, 96),
        ("q5_0", 6, Dtype::Q5_0, 64),
        ("q5_1", 7, Dtype::Q5_1, 64),
        ("q8_0", 8, Dtype::Q8_0, 64),
        ("q2_k", 10, Dtype::Q2K, 768),
        ("q3_k", 11, Dtype::Q3K, 512),
        ("q4_k", 12, Dtype::Q4K, 512),
        ("q5_k", 13, Dtype::Q5K, 512),
        ("q6_k", 14, Dtype::Q6K, 768),
        ("iq4_nl", 20, Dtype::Iq4Nl, 96),
        ("iq4_xs", 23, Dtype::Iq4Xs, 512),
        ("bf16", 30, Dtype::BF16, 64),
    ];
    let stored = kinds.map(|(_, _, dtype, n)| blocks(dtype, n / dtype.block().0));
    let gguf = kinds
        .iter()
        .zip(&stored)
        .fold(Gguf::default(), |g, ((name, kind, _, n), bytes)| g.tensor(name, &[*n as u64], *kind, bytes));
    let dir = tempfile::tempdir().unwrap();
    let path = written(&dir, "m.gguf", &gguf.bytes());
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for reading in [Reading::Cached, Reading::PastCache] {
        let source = open_weights(&path).unwrap();
        source.set_reading(reading);
        let unet = Weights::shared(source.clone(), "unet", &Budget::unlimited("host"));
        for ((name, _, dtype, n), bytes) in kinds.iter().zip(&stored) {
            let mut expected = vec![0.0; *n];
            decode_f32(*dtype, bytes, &mut expected).unwrap();
            assert_eq!(source.info(name).unwrap().dtype, *dtype);
            let weight = unet.weight(name).unwrap();
            assert_eq!(bits(&weight.read().unwrap()), bits(&expected), "{name}");
            let block = dtype.block().0;
            for part in [block..2 * block, 1..block.max(2) + 3] {
                let mut out = vec![0.0; part.len()];
                source.read_part(name, part.clone(), &mut out).unwrap();
                assert_eq!(bits(&out), bits(&expected[part.clone()]), "{name} {part:?}");
            }
        }
    }
}

/// Every type of a safetensors header, packed blobs of bytes among them.
#[test]
fn every_type_of_a_safetensors_file_opens_and_what_has_an_f32_form_is_read() {
    let types = [
        Dtype::F64,
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::F8E4M3,
        Dtype::F8E5M2,
        Dtype::F8E4M3Fnuz,
        Dtype::F8E5M2Fnuz,
        Dtype::F8E8M0,
        Dtype::F6E2M3,
        Dtype::F6E3M2,
        Dtype::F4,
        Dtype::C64,
        Dtype::I64,
        Dtype::I32,
        Dtype::I16,
        Dtype::I8,
        Dtype::U64,
        Dtype::U32,
        Dtype::U16,
        Dtype::U8,
        Dtype::Bool,
    ];
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for dtype in types {
        let bytes = blocks(dtype, 24 / dtype.block().0);
        let (start, comma) = (data.len(), if data.is_empty() { "" } else { "," });
        data.extend(&bytes);
        let end = data.len();
        let entry = format!(r#"{comma}"{dtype}":{{"dtype":"{dtype}","shape":[4,6],"data_offsets":[{start},{end}]}}"#);
        header.push_str(&entry);
    }
    header.push('}');
    let dir = tempfile::tempdir().unwrap();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    let path = written(&dir, "m.safetensors", &bytes);
    for reading in [Reading::Cached, Reading::PastCache] {
        let source = open_weights(&path).unwrap();
        source.set_reading(reading);
        let file = WeightFile::open(&path).unwrap();
        for dtype in types {
            let mut out = vec![0.0; 24];
            let read = source.read_f32(dtype.name(), &mut out);
            let mut expected = vec![0.0; 24];
            match decode_f32(dtype, file.bytes(dtype.name()).unwrap(), &mut expected) {
                Ok(()) => {
                    read.unwrap();
                    assert!(out.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{dtype}");
                }
                Err(error) => assert_eq!(read.unwrap_err().to_string(), format!("tensor `{dtype}`: {error}")),
            }
        }
        assert_eq!(file.bytes("U8").unwrap(), blocks(Dtype::U8, 24), "a packed blob is its bytes");
    }
}

#[test]
fn a_sharded_checkpoint_is_read_past_the_cache_like_any_other_file() {
    let dir = tempfile::tempdir().unwrap();
    shard(dir.path(), "m-1.safetensors", "a", 1.0);
    shard(dir.path(), "m-2.safetensors", "b", 2.0);
    let index = br#"{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}}"#;
    let source = open_weights(written(&dir, "m.index.json", index)).unwrap();
    source.set_reading(Reading::PastCache);
    let mut out = [0.0];
    source.read_f32("b", &mut out).unwrap();
    assert_eq!((out, source.slice("b")), ([2.0], None));
}
