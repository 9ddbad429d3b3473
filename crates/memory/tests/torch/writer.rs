//! Pickles and archives of them, opcode by opcode and byte by byte.

/// A pickle of protocol 2 that grows at its end.
#[derive(Clone, Default)]
pub(crate) struct Ops(pub(crate) Vec<u8>);

impl Ops {
    pub(crate) fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.0.push(b'X');
        self.0.extend((text.len() as u32).to_le_bytes());
        self.raw(text.as_bytes())
    }

    pub(crate) fn int(mut self, number: i64) -> Self {
        self.0.extend([0x8a, 8]);
        self.raw(&number.to_le_bytes())
    }

    pub(crate) fn global(self, module: &str, name: &str) -> Self {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    pub(crate) fn ints(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self.raw(b"("), |ops, number| ops.int(*number)).raw(b"t")
    }

    /// A tensor of f32, as torch writes it.
    pub(crate) fn tensor(self, storage: &Storage, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.global("torch._utils", "_rebuild_tensor_v2")
            .raw(b"((")
            .text("storage")
            .global("torch", storage.class)
            .text(storage.key)
            .text("cpu")
            .int(storage.count)
            .raw(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .raw(b"\x89")
            .global("collections", "OrderedDict")
            .raw(b")RtR")
    }

    /// A dict of one tensor, finished.
    pub(crate) fn weight(storage: &Storage, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
        Self::new().raw(b"}").text("w").tensor(storage, offset, shape, strides).raw(b"s.").0
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage {
    pub(crate) class: &'static str,
    pub(crate) key: &'static str,
    pub(crate) count: i64,
}

pub(crate) const SIX: Storage = Storage { class: "FloatStorage", key: "0", count: 6 };

pub(crate) fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// An entry of an archive; `claimed` is the length that it says it has when inflated.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) stored: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) claimed: usize,
}

impl Entry {
    pub(crate) fn stored(name: &str, bytes: Vec<u8>) -> Self {
        let claimed = bytes.len();
        Self { name: name.to_owned(), stored: bytes, method: 0, claimed }
    }

    pub(crate) fn deflated(name: &str, bytes: &[u8]) -> Self {
        let stored = miniz_oxide::deflate::compress_to_vec(bytes, 10);
        Self { name: name.to_owned(), stored, method: 8, claimed: bytes.len() }
    }

    /// Everything behind the signature that a local header and the directory share.
    fn header(&self) -> Vec<u8> {
        let mut out = 20u16.to_le_bytes().to_vec();
        out.extend(0u16.to_le_bytes());
        out.extend(self.method.to_le_bytes());
        out.extend([0; 8]); // time, date, checksum
        out.extend((self.stored.len() as u32).to_le_bytes());
        out.extend((self.claimed as u32).to_le_bytes());
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out
    }
}

pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(entry.header());
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(entry.name.bytes());
        out.extend(b"PK\x03\x04");
        out.extend(entry.header());
        out.extend(entry.name.bytes());
        out.extend(&entry.stored);
    }
    let (start, count) = (out.len() as u32, entries.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

/// An archive of a pickle and the storage `0` of so many f32.
pub(crate) fn with_pickle(pickle: Vec<u8>, floats_in_file: usize) -> Vec<u8> {
    archive(&[Entry::stored("a/data.pkl", pickle), Entry::stored("a/data/0", floats(floats_in_file))])
}

/// The stream of before 1.6 around a pickle that uses the storages `keys`, with what follows as it is.
pub(crate) fn legacy(pickle: &[u8], keys: &[&str], storages: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 2, 0x8a, 10];
    out.extend([0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]);
    out.extend(b".\x80\x02M\xe9\x03.\x80\x02}.");
    out.extend(pickle);
    out.extend(keys.iter().fold(Ops::new().raw(b"]("), |ops, key| ops.text(key)).raw(b"e.").0);
    out.extend(storages);
    out
}
