//! Files that mean harm: code, bombs, endless structures. Each is an error, at once and in little memory.

use crate::{bytes, complaint, open, writer};
use std::time::{Duration, Instant};
use writer::{Entry, Ops, SIX, Storage, archive, floats, legacy, with_pickle};

/// What the process holds at most for a file of a few megabytes, beyond what it held before.
const LITTLE: u64 = 400 << 20;

/// The complaint about a file, which comes within seconds and takes little memory.
fn quickly(bytes: &[u8]) -> String {
    let (started, before) = (Instant::now(), kiln_memory::process_memory().unwrap_or_default().anonymous);
    let text = complaint(bytes);
    let grown = kiln_memory::process_memory().unwrap_or_default().anonymous.saturating_sub(before);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}: {text}", started.elapsed());
    assert!(grown < LITTLE, "{grown}: {text}");
    text
}

#[test]
fn a_pickle_that_asks_for_code_is_refused_with_the_name() {
    for name in ["asks_for_a_shell.pt", "asks_for_a_shell_legacy.pt", "asks_for_a_shell.pkl"] {
        let text = complaint(&bytes(name));
        assert!(text.contains("this Python pickle asks for `posix.system`"), "{name}: {text}");
    }
    for (ops, name) in [
        (&b"cos\nsystem\n(S'id'\ntR."[..], "os.system"),
        (b"\x80\x02cbuiltins\neval\n.", "builtins.eval"),
        (b"\x80\x02c__builtin__\nexec\n.", "builtins.exec"),
        (b"\x80\x02cbuiltins\ngetattr\n.", "builtins.getattr"),
        (b"\x80\x02(S'id'\nios\nsystem\n.", "os.system"),
        (b"\x80\x02(cos\nsystem\nS'id'\no.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x80\x02ctorch\nload\n.", "torch.load"),
        (b"\x80\x02ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2.__globals__\n.", "torch._utils._rebuild_tensor_v2.__globals__"),
        (b"\x80\x02ctorch.nn.modules.conv\nConv2d\n.", "torch.nn.modules.conv.Conv2d"),
        (b"\x80\x02cnumpy\nload\n.", "numpy.load"),
        (b"\x80\x02ccollections\nnamedtuple\n.", "collections.namedtuple"),
        (b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "torch._utils._rebuild_sparse_tensor"),
        (b"\x80\x02ctorch\nQInt8Storage\n.", "torch.QInt8Storage"),
    ] {
        let name = name.replace("builtins.exec", "__builtin__.exec");
        let expected = format!("this Python pickle asks for `{name}`, which is no part of a tensor");
        for file in [ops.to_vec(), with_pickle(ops.to_vec(), 6), legacy(ops, &[], &[])] {
            let text = complaint(&file);
            assert!(text.starts_with("byte ") && text.contains(&expected), "{text}");
        }
    }
}

#[test]
fn a_refusal_comes_wherever_the_name_stands_and_stays_one_line() {
    // Deep in what would be passed over: it is still a file that wants code to be run.
    let ops = Ops::new().raw(b"}(").text("w").tensor(&SIX, 0, &[6], &[1]).text("callbacks").raw(b"](");
    let file = with_pickle(ops.global("os", "system").raw(b"eu.").0, 6);
    assert!(complaint(&file).contains("`os.system`"));
    let long = Ops::new().global(&"x".repeat(5000), "\x1b[2J").raw(b".").0;
    let text = complaint(&with_pickle(long, 6));
    assert!(text.len() < 500 && !text.contains('\x1b'), "{text}");
}

#[test]
fn lengths_and_numbers_beyond_the_file_cost_nothing() {
    for (ops, expected) in [
        (&b"X\xff\xff\xff\xff"[..], "the file ends here"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", "the file ends here"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", "the file ends here"),
        (b"B\xff\xff\xff\x7f", "the file ends here"),
        (b"\x8b\xff\xff\xff\x7f", "the file ends here"),
        (b"Nr\xff\xff\xff\xff.", "is a Python pickle that torch.save() did not write"),
        (b"j\xff\xff\xff\xff.", "recalls number 4294967295, which it did not store"),
        (b"t.", "goes back to a mark that was not set"),
        (b"0.", "takes a value from an empty stack"),
        (b".", "takes a value from an empty stack"),
        (b"\x87.", "makes a tuple of an empty stack"),
        (b"N(\x85.", "makes a tuple of an empty stack"),
        (b"NNs.", "takes a value from an empty stack"),
        (b"NNNs.", "sets entries of something that is no dict"),
        (b"NNa.", "appends to something that is no list"),
        (b"}(Nu.", "has a key without a value"),
        (b"NNR.", "calls something that is no class"),
        (b"ctorch\nSize\nNR.", "calls a class with arguments that are no tuple"),
        (b"NNb.", "gives a state to something that has none"),
        (b"}\xff.", "has the unknown opcode 0xff"),
        (b"\x82\x01.", "another program's registry"),
        (b"\x97.", "takes bytes from outside of the file"),
        (b"Pkey\n.", "keeps something outside of it under a text"),
        (b"Iabc\n.", "has a number that is none: `abc`"),
        (b"S'a\\x41'\n.", "escapes of protocol 0"),
        (b"\x80\x09.", "is of protocol 9"),
    ] {
        let file = [b"\x80\x02", ops].concat();
        let text = quickly(&file);
        assert!(text.starts_with("byte ") && text.contains(expected), "{ops:?}: {text}");
    }
}

#[test]
fn deep_nesting_and_circles_end_in_an_error() {
    // A million lists in each other.
    let deep = Ops::new().raw(&b"]".repeat(1_000_000)).raw(&b"a".repeat(999_999)).raw(b".").0;
    assert!(quickly(&with_pickle(deep, 6)).contains("stands in more than 32 dicts and lists"));
    let dicts =
        (0..5000).fold(Ops::new(), |ops, _| ops.raw(b"}").text("k")).raw(b"N").raw(&b"s".repeat(5000)).raw(b".").0;
    assert!(quickly(&with_pickle(dicts, 6)).contains("stands in more than 32 dicts and lists"));
    let tuples = Ops::new().raw(b")").raw(&b"\x85".repeat(1_000_000)).raw(b".").0;
    assert!(quickly(&with_pickle(tuples, 6)).contains("stands in more than 32"));
    // A list that contains itself.
    assert!(quickly(&with_pickle(Ops::new().raw(b"]q\x00h\x00a.").0, 6)).contains("stands in more than 32"));
    // A dict under `state_dict` of itself.
    let circle = Ops::new().raw(b"}q\x00").text("state_dict").raw(b"h\x00s.").0;
    assert!(quickly(&with_pickle(circle, 6)).contains("stands in more than 32"));
    // A tensor that is wrapped in itself has no end, and is none.
    let wrapped = Ops::new().global("torch._utils", "_rebuild_parameter").raw(b"]q\x00\x85R.").0;
    assert!(open(&with_pickle(wrapped, 6)).is_ok_and(|file| file.names().len() == 0));
}

#[test]
fn a_few_bytes_that_describe_endlessly_many_names_are_refused() {
    // Twenty lists, each of two times the one before, around one tensor: a million names.
    let doubled = (0..20u8).fold(Ops::new().tensor(&SIX, 0, &[6], &[1]).raw(b"q\x00"), |ops, i| {
        ops.raw(&[b'0', b']', b'(', b'h', i, b'h', i, b'e', b'q', i + 1])
    });
    assert!(quickly(&with_pickle(doubled.raw(b".").0, 6)).contains("repeats itself without end"));
    // One dict of a thousand numbers, a thousand times in a list.
    let thousand = (0..1000).fold(Ops::new().raw(b"}q\x00("), |ops, i| ops.int(i).int(i)).raw(b"u0](");
    let repeated = thousand.raw(&b"h\x00".repeat(200_000)).raw(b"e.").0;
    assert!(quickly(&with_pickle(repeated, 6)).contains("repeats itself without end"));
    // A long text as the value of many keys.
    let texts = Ops::new().text(&"x".repeat(100_000)).raw(b"q\x000}(");
    let texts = (0..10_000).fold(texts, |ops, i| ops.int(i).raw(b"h\x00")).raw(b"u.").0;
    assert!(quickly(&with_pickle(texts, 6)).contains("repeats itself without end"));
}

#[test]
fn many_small_values_are_refused_before_they_fill_the_memory() {
    for op in [&b"N"[..], b"]", b")", b"}", b"(", b"Nq\x00", b"\x94"] {
        let ops = Ops::new().raw(b"N").raw(&op.repeat((12 << 20) / op.len())).raw(b".").0;
        assert!(quickly(&with_pickle(ops, 6)).contains("describes more than 8388608 values"), "{op:?}");
    }
    // Copies of a large list, again and again.
    let list = Ops::new().raw(b"](").raw(&b"N".repeat(1 << 20)).raw(b"eq\x000");
    let copies = (0..100).fold(list, |ops, _| ops.global("builtins", "list").raw(b"h\x00\x85R0")).raw(b"N.").0;
    assert!(quickly(&with_pickle(copies, 6)).contains("describes more than"));
}

#[test]
fn a_zip_bomb_is_refused_before_it_goes_off() {
    let zeros = vec![0; 64 << 20];
    let pickle = |key, count| Ops::weight(&Storage { class: "ByteStorage", key, count }, 0, &[1], &[1]);
    // A storage of gigabytes out of kilobytes, by what it claims and by what the archive allows.
    let bomb = Entry { claimed: 3 << 30, ..Entry::deflated("a/data/0", &zeros) };
    let file = archive(&[Entry::stored("a/data.pkl", pickle("0", 3 << 30)), bomb]);
    assert!(quickly(&file).contains("claims to become longer than it can: a zip bomb?"));
    let padded = [Entry::deflated("a/data/0", &zeros).stored, vec![0; 4 << 20]].concat();
    let bomb = Entry { claimed: 3 << 30, stored: padded, ..Entry::deflated("a/data/0", b"") };
    let file = archive(&[Entry::stored("a/data.pkl", pickle("0", 3 << 30)), bomb]);
    assert!(quickly(&file).contains("a bomb?"));
    // A pickle that is one.
    let mut huge = Entry::deflated("a/data.pkl", &zeros);
    huge.claimed = 300 << 20;
    huge.stored.resize(1 << 20, 0);
    let text = quickly(&archive(&[huge]));
    assert!(text.contains("data.pkl has 314572800 bytes, which no file of tensors needs"), "{text}");
    // One that is shorter or longer than it claims.
    for claimed in [10, 1000] {
        let entry = Entry { claimed, ..Entry::deflated("a/data.pkl", &Ops::weight(&SIX, 0, &[6], &[1])) };
        let file = archive(&[entry, Entry::stored("a/data/0", floats(6))]);
        assert!(quickly(&file).contains(&format!("doesn't inflate to the {claimed} bytes that it claims")));
    }
}

#[test]
fn an_archive_whose_directory_lies_is_an_error() {
    let good = with_pickle(Ops::weight(&SIX, 0, &[6], &[1]), 6);
    let end = good.len() - 22;
    for (at, bytes) in [
        (end + 12, u32::MAX.to_le_bytes()), // the directory's length
        (end + 16, u32::MAX.to_le_bytes()), // where it begins
        (end + 16, 0u32.to_le_bytes()),
        (end + 8, [0xff; 4]), // how many entries
    ] {
        let mut file = good.clone();
        file[at..at + 4].copy_from_slice(&bytes);
        match open(&file) {
            Ok(file) => assert_eq!(file.names().len(), 1),
            Err(error) => assert!(error.to_string().contains("byte "), "{error}"),
        }
    }
    // An entry that lies outside of the file, and one that is encrypted.
    let directory = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let second = directory + 4 + good[directory + 4..].windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut outside = good.clone();
    outside[second + 42..second + 46].copy_from_slice(&(good.len() as u32 - 3).to_le_bytes());
    assert!(
        complaint(&outside).contains("tensor `w`: the entry a/data/0 of this zip archive lies outside of the file")
    );
    let mut encrypted = good;
    encrypted[second + 8] = 1;
    assert!(complaint(&encrypted).contains("is encrypted"));
}
