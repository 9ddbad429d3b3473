//! A file that carries a graph is a graph: every format, every place that programs write to, and every kind of damage.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::carriers::*;
use kiln_graph::{Document, Prompt};
use serde_json::{Value, json};

/// What a file comes to: the prompt, if it is one, and the workflow around it.
fn read(bytes: &[u8]) -> Result<(Option<Prompt>, Option<Value>), String> {
    match Document::with_source(bytes) {
        Ok((Document::Prompt(prompt), workflow)) => Ok((Some(prompt), workflow)),
        Ok((Document::Workflow(_), workflow)) => Ok((None, workflow)),
        Err(error) => Err(error.to_string()),
    }
}

fn prompt() -> Option<Prompt> {
    Prompt::from_json(PROMPT).ok()
}

fn workflow() -> Option<Value> {
    serde_json::from_str(WORKFLOW).ok()
}

type Make = fn(&[(&str, &str)]) -> Vec<u8>;

/// Every way in which texts with names get into a file.
const FORMS: &[(&str, Make)] = &[
    ("PNG tEXt", |texts| png(&chunks(*b"tEXt", texts), &[])),
    ("PNG tEXt behind the picture", |texts| png(&[], &chunks(*b"tEXt", texts))),
    ("PNG comf", |texts| png(&[], &chunks(*b"comf", texts))),
    ("PNG zTXt", |texts| png(&packed_chunks(texts), &[])),
    ("PNG iTXt", |texts| png(&international_chunks(texts, false), &[])),
    ("PNG iTXt, packed", |texts| png(&international_chunks(texts, true), &[])),
    ("PNG eXIf", |texts| png(&[chunk(*b"eXIf", &exif(texts, true))], &[])),
    ("JPEG", |texts| jpeg(&[(0xe1, [b"Exif\0\0", &*exif(texts, false)].concat())])),
    ("JPEG, high byte first", |texts| jpeg(&[(0xe1, [b"Exif\0\0", &*exif(texts, true)].concat())])),
    ("WEBP", |texts| webp(&exif(texts, false))),
    ("WEBP with a prefix", |texts| webp(&[b"Exif\0\0", &*exif(texts, true)].concat())),
    ("AVIF", |texts| avif(&exif(texts, true), 0)),
    ("AVIF, version 1", |texts| avif(&exif(texts, false), 1)),
    ("AVIF, version 2", |texts| avif(&exif(texts, false), 2)),
    ("MP4", |texts| mp4(&mdta(texts), false)),
    ("MP4 with 64-bit sizes", |texts| mp4(&mdta(texts), true)),
    ("MP4, free form", |texts| mp4(&free_form(texts), false)),
    ("MP4, a comment", |texts| mp4(&itunes_comment(&both_in_one(texts)), false)),
    ("MOV, an old comment", |texts| mp4(&old_comment(&both_in_one(texts)), false)),
    ("WEBM", |texts| webm(texts, false)),
    ("WEBM of unsaid length", |texts| webm(texts, true)),
    ("WEBM, a comment", |texts| webm(&[("COMMENT", &both_in_one(texts))], false)),
    ("FLAC", flac),
    ("Opus", |texts| ogg(b"OpusTags", texts)),
    ("Vorbis", |texts| ogg(b"\x03vorbis", texts)),
    ("MP3, 2.3", |texts| mp3(3, 3, texts)),
    ("MP3, 2.4", |texts| mp3(4, 3, texts)),
    ("MP3, UTF-16", |texts| mp3(3, 1, texts)),
    ("MP3, Latin-1", |texts| mp3(4, 0, texts)),
    ("safetensors", safetensors),
    ("GLB", glb),
    ("SVG", svg),
];

#[test]
fn every_file_with_a_prompt_and_a_workflow_is_the_prompt_with_its_workflow() {
    for (name, make) in FORMS {
        let bytes = make(&[("prompt", PROMPT), ("workflow", WORKFLOW)]);
        assert_eq!(read(&bytes), Ok((prompt(), workflow())), "{name}");
    }
}

#[test]
fn a_file_with_one_of_the_two_is_that_one() {
    for (name, make) in FORMS {
        assert_eq!(read(&make(&[("prompt", PROMPT)])), Ok((prompt(), None)), "{name}");
        assert_eq!(read(&make(&[("workflow", WORKFLOW)])), Ok((None, workflow())), "{name}");
        assert_eq!(read(&make(&[("author", "me"), ("workflow", WORKFLOW)])), Ok((None, workflow())), "{name}");
    }
}

#[test]
fn names_in_capitals_and_texts_within_texts_are_read() {
    for (name, make) in FORMS {
        assert_eq!(read(&make(&[("Prompt", PROMPT), ("WORKFLOW", WORKFLOW)])), Ok((prompt(), workflow())), "{name}");
        let wrapped = serde_json::to_string(PROMPT).unwrap();
        let twice = serde_json::to_string(&wrapped).unwrap();
        assert_eq!(read(&make(&[("prompt", &wrapped)])), Ok((prompt(), None)), "{name}");
        assert_eq!(read(&make(&[("prompt", &twice)])), Ok((prompt(), None)), "{name}");
    }
}

#[test]
fn a_broken_prompt_beside_a_workflow_is_passed_over_and_alone_it_is_the_error() {
    for (name, make) in FORMS {
        let broken = r#"{"1": {"class_type": 5}}"#;
        assert_eq!(read(&make(&[("prompt", broken), ("workflow", WORKFLOW)])), Ok((None, workflow())), "{name}");
        let error = read(&make(&[("prompt", broken)])).unwrap_err();
        assert!(error.starts_with("the prompt that it carries (a"), "{name}: {error}");
        assert!(error.ends_with(r#"node "1": `class_type` must be text, found a number"#), "{name}: {error}");
    }
}

#[test]
fn a_nan_in_what_a_file_carries_is_read_as_in_a_file_of_its_own() {
    let text = r#"{"1": {"class_type": "A", "inputs": {}, "is_changed": [NaN]}}"#;
    for (name, make) in FORMS {
        assert_eq!(read(&make(&[("prompt", text)])), Ok((Some(Prompt::from_json(text).unwrap()), None)), "{name}");
    }
}

#[test]
fn a_file_without_a_graph_says_so() {
    for (name, make) in FORMS {
        for texts in [&[][..], &[("author", "me")], &[("prompt", "a red apple")], &[("workflow", "")]] {
            let error = read(&make(texts)).unwrap_err();
            assert!(error.starts_with('a') && error.ends_with(" that carries no graph"), "{name} {texts:?}: {error}");
        }
    }
    let other = png(&chunks(*b"tEXt", &[("parameters", "apple\nSteps: 20, Sampler: Euler")]), &[]);
    assert_eq!(
        read(&other).unwrap_err(),
        "a PNG image that carries no graph, but parameters of a program that has none"
    );
}

#[test]
fn a_comment_may_be_the_graph_itself() {
    for (text, expected) in [(PROMPT, (prompt(), None)), (WORKFLOW, (None, workflow()))] {
        let files = [
            jpeg(&[(0xfe, text.into())]),
            jpeg(&[(0xe1, [b"Exif\0\0", &*user_comment(*b"ASCII\0\0\0", text.as_bytes())].concat())]),
            mp4(&itunes_comment(text), false),
            webm(&[("COMMENT", text)], false),
        ];
        for bytes in files {
            assert_eq!(read(&bytes), Ok(expected.clone()));
        }
    }
}

#[test]
fn a_users_comment_is_read_in_every_encoding() {
    let both = both_in_one(&[("prompt", PROMPT), ("workflow", WORKFLOW)]);
    let units = |unit: fn(u16) -> [u8; 2]| both.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    for (sign, data) in [
        (b"ASCII\0\0\0", both.clone().into_bytes()),
        (b"\0\0\0\0\0\0\0\0", both.clone().into_bytes()),
        (b"UNICODE\0", both.clone().into_bytes()),
        (b"UNICODE\0", units(u16::to_be_bytes)),
        (b"UNICODE\0", units(u16::to_le_bytes)),
    ] {
        assert_eq!(read(&webp(&user_comment(*sign, &data))), Ok((prompt(), workflow())));
    }
}

#[test]
fn a_users_comment_may_say_which_graph_it_is() {
    for (name, text, found) in [
        ("prompt", PROMPT, (prompt(), None)),
        ("Workflow", WORKFLOW, (None, workflow())),
        ("note", PROMPT, (None, None)),
    ] {
        let read = read(&webp(&user_comment(*b"ASCII\0\0\0", format!("{name}: {text}").as_bytes())));
        if name == "note" {
            assert!(read.unwrap_err().contains("carries no graph"));
        } else {
            assert_eq!(read, Ok(found), "{name}");
        }
    }
}

#[test]
fn characters_beyond_ascii_survive() {
    let text = r#"{"1": {"class_type": "été 日本", "inputs": {"x": "😀"}}}"#;
    for (name, make) in FORMS.iter().filter(|(name, _)| !name.contains("Latin")) {
        assert_eq!(read(&make(&[("prompt", text)])), Ok((Some(Prompt::from_json(text).unwrap()), None)), "{name}");
    }
}

#[test]
fn the_fields_picture_is_its_graph() {
    let (prompt, _) = read(include_bytes!("data/carrier.png")).unwrap();
    let classes: Vec<String> = prompt.unwrap().nodes.values().map(|node| node.class_type.to_string()).collect();
    assert!(classes.iter().any(|class| class == "KSampler") && classes.iter().any(|class| class == "SaveImage"));
}

/// splitmix64: a case is its number.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 33) as usize
}

#[test]
fn damage_ends_in_an_answer() {
    let cases = std::env::var("KILN_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(200_usize);
    let mut state = 7;
    for (_, make) in FORMS {
        let whole = make(&[("author", "me"), ("prompt", PROMPT), ("workflow", WORKFLOW)]);
        for end in 0..whole.len().min(400) {
            let _ = read(&whole[..end]);
        }
        for _ in 0..cases {
            let mut bytes = whole.clone();
            for _ in 0..=random(&mut state) % 6 {
                let at = random(&mut state) % bytes.len();
                match random(&mut state) % 4 {
                    0 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(&mut state) % 5],
                    1 => bytes[at] = bytes[at].wrapping_add(1),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.insert(at, 0xff),
                }
            }
            let _ = read(&bytes);
        }
    }
}

#[test]
fn a_picture_that_was_cut_still_carries_what_stands_before_the_cut() {
    let mut bytes = png(&chunks(*b"tEXt", &[("prompt", PROMPT)]), &[]);
    bytes.truncate(bytes.len() - 30);
    assert_eq!(read(&bytes), Ok((prompt(), None)));
}

#[test]
fn a_text_that_unpacks_without_end_is_no_text() {
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![b' '; 100 << 20], 1);
    let data = [b"prompt\0\0", &*bomb].concat();
    assert_eq!(read(&png(&[chunk(*b"zTXt", &data)], &[])).unwrap_err(), "a PNG image that carries no graph");
}

#[test]
fn so_much_of_a_file_is_enough() {
    let bytes = safetensors(&[("prompt", PROMPT)]);
    let enough = kiln_graph::enough_of_file(&bytes[..16]).unwrap();
    assert!(enough < bytes.len() as u64);
    assert_eq!(read(&bytes[..enough as usize]), Ok((prompt(), None)));
    for head in [PROMPT.as_bytes(), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"{}", b""] {
        assert_eq!(kiln_graph::enough_of_file(head), None);
    }
}

#[test]
fn json_is_json_whatever_it_begins_with() {
    for text in [PROMPT, WORKFLOW, &format!("        {PROMPT}"), &format!("\u{feff}{WORKFLOW}")] {
        assert!(read(text.as_bytes()).is_ok());
    }
    assert_eq!(read(b"<html></html>").unwrap_err(), "not JSON, line 1, column 1: expected value");
    assert_eq!(json!(PROMPT).as_str(), Some(PROMPT));
}
