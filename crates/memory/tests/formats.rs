//! GGUF files and sharded checkpoints, good and broken.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use kiln_memory::{Dtype, TensorSource, WeightFile, open_weights};
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
    assert!(
        complaint(&Gguf::default().tensor("t", &[32], 13, &[0; 22]).bytes()).contains("type 13 (Q5_K) is not read")
    );
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
