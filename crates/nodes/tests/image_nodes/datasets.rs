//! Folders of images and texts, read, mixed and written.

use kiln_exec::{GraphBuilder, Link, RunOptions};
use kiln_nodes::files::{DirKind, load_image, load_image_as_stored, read_png};
use serde_json::{Value, json};

use crate::bench::{all, bench, input, made, picture, row, run, widths, write};
use crate::common::{self, Bench};

#[test]
fn lists_pass_whole_and_in_numpys_order() {
    let set = bench(&row(11));
    assert_eq!(widths(&made(&set, "MergeImageLists", &json!({})).unwrap()), (1..=11).collect::<Vec<_>>());
    let mixed = widths(&made(&set, "ShuffleDataset", &json!({"seed": 42})).unwrap());
    let expected = kiln_models::random::NumpyGenerator::from_long_seed(42).permutation(11);
    assert_eq!(mixed, expected.iter().map(|i| i + 1).collect::<Vec<_>>());
}

/// What a class makes of the images and texts of the data set: its first two outputs.
fn mixed(bench: &Bench, seed: u64) -> (Vec<usize>, Vec<String>) {
    let g = GraphBuilder::new();
    let set = common::node(&g, "LoadImageTextDataSetFromFolder", &[], &json!({"folder": "set"}));
    let links = [("images", &set), ("texts", &Link::new(&set.node, 1))];
    let out = common::node(&g, "ShuffleImageTextDataset", &links, &json!({"seed": seed}));
    let second = Link::new(&out.node, 1);
    common::node(&g, "PreviewAny", &[("source", &second)], &json!({}));
    let options = RunOptions { fetch: vec![out.clone(), second.clone()], ..RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    (widths(report.values(&out).unwrap()), all(report.values(&second).unwrap()))
}

#[test]
fn images_and_texts_stay_together() {
    let set = bench(&row(5));
    for i in 0..5 {
        std::fs::write(input(&set, &format!("set/{i:02}.txt")), format!(" \n{}\u{3000}\n", i + 1)).unwrap();
    }
    let (widths, texts) = mixed(&set, 7);
    assert_eq!(widths.iter().map(ToString::to_string).collect::<Vec<_>>(), texts);
    assert_ne!(widths, [1, 2, 3, 4, 5]);
}

#[test]
fn folders_with_a_number_come_as_many_times() {
    let set = Bench::new();
    let [a, b, c] = [1, 2, 3].map(|width| picture(1, width, |_, _, _| 50));
    write(&set, "set/a.png", &a);
    write(&set, "set/3_more/b.png", &b);
    write(&set, "set/rest/c.png", &c);
    std::fs::write(input(&set, "set/3_more/b.txt"), "two").unwrap();
    std::fs::write(input(&set, "set/notes.md"), "no image").unwrap();
    let g = GraphBuilder::new();
    let out = common::node(&g, "LoadImageTextDataSetFromFolder", &[], &json!({"folder": "set"}));
    let texts = Link::new(&out.node, 1);
    common::node(&g, "PreviewAny", &[("source", &texts)], &json!({}));
    let options = RunOptions { fetch: vec![out.clone(), texts.clone()], ..RunOptions::default() };
    let report = set.engine.start(g.into_prompt()).options(options).run().unwrap();
    assert_eq!(widths(report.values(&out).unwrap()), [2, 2, 2, 1, 3]);
    assert_eq!(all::<String>(report.values(&texts).unwrap()), ["two", "two", "two", "", ""]);
}

#[test]
fn images_of_a_data_set_stand_as_in_their_files_whatever_their_exif_says() {
    let set = Bench::new();
    let path = input(&set, "set/turned.png");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, include_bytes!("../data/images/turned.tif")).unwrap();
    let [upright, stored] = [load_image(&path), load_image_as_stored(&path)].map(Result::unwrap);
    assert_eq!((upright.width, upright.height), (stored.height, stored.width));
    assert_ne!(stored.width, stored.height);
    for class in ["LoadImageDataSetFromFolder", "LoadImageTextDataSetFromFolder"] {
        let g = GraphBuilder::new();
        let out = common::node(&g, class, &[], &json!({"folder": "set"}));
        assert_eq!(widths(run(&set, g, &out).unwrap().values(&out).unwrap()), [stored.width], "{class}");
    }
}

#[test]
fn bad_folders_are_refused_by_name() {
    let set = Bench::new();
    write(&set, "set/999999999_more/a.png", &row(1)[0]);
    write(&set, "bad/a.png", &row(1)[0]);
    std::fs::write(input(&set, "bad/a.txt"), b"\xff\xfe\xff").unwrap();
    std::fs::create_dir_all(input(&set, "none/x")).unwrap();
    let refused = |class: &str, folder: &str| {
        let g = GraphBuilder::new();
        let out = common::node(&g, class, &[], &json!({"folder": folder}));
        let error = run(&set, g, &out).unwrap_err();
        format!("{error:?} {error}")
    };
    let message = refused("LoadImageTextDataSetFromFolder", "set");
    assert!(message.contains("999999999_more") && message.contains("999999999 images"), "{message}");
    let message = refused("LoadImageTextDataSetFromFolder", "bad");
    assert!(message.contains("a.txt"), "{message}");
    let message = refused("LoadImageDataSetFromFolder", "none");
    assert!(message.contains("holds no images"), "{message}");
    for folder in ["../set", "nowhere"] {
        let message = refused("LoadImageDataSetFromFolder", folder);
        assert!(message.contains(&format!("there is no `{folder}`; choose among `bad`")), "{message}");
    }
}

#[test]
fn a_data_set_is_written_with_its_texts_and_over_an_older_one() {
    let set = bench(&row(2));
    std::fs::write(input(&set, "set/01.txt"), "second").unwrap();
    for _ in 0..2 {
        let g = GraphBuilder::new();
        let loaded = common::node(&g, "LoadImageTextDataSetFromFolder", &[], &json!({"folder": "set"}));
        let links = [("images", &loaded), ("texts", &Link::new(&loaded.node, 1))];
        let widgets = json!({"folder_name": "made/set", "filename_prefix": "p"});
        common::node(&g, "SaveImageTextDataSetToFolder", &links, &widgets);
        let widgets = json!({"folder_name": "plain", "filename_prefix": "image"});
        common::node(&g, "SaveImageDataSetToFolder", &links[..1], &widgets);
        set.run(g).unwrap();
    }
    let folder = set.folder(DirKind::Output);
    let names = |below: &str| {
        let entries = std::fs::read_dir(folder.join(below)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("made/set"), ["p_00000.png", "p_00000.txt", "p_00001.png", "p_00001.txt"]);
    assert_eq!(names("plain"), ["image_00000.png", "image_00001.png"]);
    assert_eq!(std::fs::read_to_string(folder.join("made/set/p_00001.txt")).unwrap(), "second");
    assert_eq!(read_png(&folder.join("plain/image_00001.png")).unwrap().pixels, row(2)[1].bytes);
}

#[test]
fn a_data_set_stays_in_the_output_folder() {
    let set = bench(&row(1));
    for widgets in [
        json!({"folder_name": "../out", "filename_prefix": "a"}),
        json!({"folder_name": "out", "filename_prefix": "../a"}),
    ] {
        let g = GraphBuilder::new();
        let loaded = common::node(&g, "LoadImageDataSetFromFolder", &[], &json!({"folder": "set"}));
        common::node(&g, "SaveImageDataSetToFolder", &[("images", &loaded)], &widgets);
        let error = set.run(g).unwrap_err();
        let message = format!("{error:?} {error}");
        assert!(message.contains("outside") || message.contains("filename_prefix"), "{message}");
    }
    assert!(!set.root.path().join("out").exists());
    assert!(set.files(DirKind::Output).iter().all(|name| name.starts_with('.')));
}

#[test]
fn texts_change_as_in_python() {
    let bench = Bench::new();
    let changed = |class: &str, text: &str, widgets: Value| {
        let g = GraphBuilder::new();
        let text = common::node(&g, "PrimitiveStringMultiline", &[], &json!({"value": text}));
        let out = common::node(&g, class, &[("texts", &text)], &widgets);
        let report = run(&bench, g, &out).unwrap();
        all::<String>(report.values(&out).unwrap()).concat()
    };
    assert_eq!(changed("TextToLowercase", "ÄB İ ΑΣ", json!({})), "äb i̇ ας");
    assert_eq!(changed("TextToUppercase", "straße é", json!({})), "STRASSE É");
    assert_eq!(changed("TruncateText", "äöü😀x", json!({"max_length": 4})), "äöü😀");
    assert_eq!(changed("AddTextPrefix", "b", json!({"prefix": "a "})), "a b");
    assert_eq!(changed("AddTextSuffix", "b", json!({"suffix": " c"})), "b c");
    assert_eq!(changed("ReplaceText", "aaa", json!({"find": "aa", "replace": "b"})), "ba");
    assert_eq!(changed("ReplaceText", "ab", json!({"find": "", "replace": "-"})), "-a-b-");
    assert_eq!(changed("StripWhitespace", "\u{1c} a b\u{a0}\n", json!({})), "a b");
    assert_eq!(changed("MergeTextLists", "one", json!({})), "one");
}
