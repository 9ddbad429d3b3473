//! Images made of whole numbers, a data set of them, and what a class makes of it.

use std::path::PathBuf;

use kiln_exec::{FromValue, GraphBuilder, Link, Report, RunError, RunOptions, Values};
use kiln_nodes::Image;
use kiln_nodes::files::{Colour, DirKind, PngImage, write_png};
use serde_json::{Value, json};

use crate::common::{self, Bench, one};

/// An image of three bytes a pixel.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn picture(height: usize, width: usize, value: impl Fn(i64, i64, i64) -> i64) -> Picture {
    let at = |i: usize| value((i / 3 / width) as i64, (i / 3 % width) as i64, (i % 3) as i64) as u8;
    Picture { height, width, bytes: (0..height * width * 3).map(at).collect() }
}

pub(crate) fn named(name: &str, height: usize, width: usize) -> Picture {
    let (h, w) = (height as i64, width as i64);
    match name {
        "smooth" => picture(height, width, |y, x, c| match c {
            0 => x * 255 / (w - 1),
            1 => y * 255 / (h - 1),
            _ => (x + y) * 255 / (w + h - 2),
        }),
        "noise" => picture(height, width, |y, x, c| {
            let v = (x * 7919 + y * 104_729 + c * 1_299_709 + x * y * 31) % 65536;
            (v * 40503 % 65536) >> 8
        }),
        "step" => picture(height, width, |y, x, _| match (y, x) {
            (y, x) if y >= h - 3 && (2..w / 2).contains(&x) => 120,
            (y, x) if (3..h - 4).contains(&y) && (5..w - 5).contains(&x) => 255,
            _ => 0,
        }),
        _ => picture(height, width, |y, x, c| {
            let (near, far) = (h.min(w).pow(2) * 36 / 100, (2 * y - h).pow(2) + (2 * x - w).pow(2));
            let v = (128 + ((near - far) * 600).div_euclid(near)).clamp(0, 255);
            if c == 1 { v / 2 } else { v }
        }),
    }
}

pub(crate) fn tall(wide: &Picture) -> Picture {
    let Picture { height, width, bytes } = wide;
    picture(*width, *height, |y, x, c| i64::from(bytes[((x as usize * width) + y as usize) * 3 + c as usize]))
}

/// FNV-1a.
pub(crate) fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step).to_string()
}

pub(crate) fn data() -> Value {
    serde_json::from_str(include_str!("../data/image_nodes.json")).unwrap()
}

pub(crate) fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

/// Bytes of an image's values, which are whole 255ths.
pub(crate) fn bytes(image: &Image) -> Vec<u8> {
    let values = image.values().unwrap();
    assert!(values.iter().all(|v| ((v * 255.0).round() - v * 255.0).abs() < 1e-3));
    values.iter().map(|v| (v * 255.0).round() as u8).collect()
}

pub(crate) fn input(bench: &Bench, path: &str) -> PathBuf {
    let path = bench.folder(DirKind::Input).join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    path
}

pub(crate) fn write(bench: &Bench, path: &str, picture: &Picture) {
    let (width, height, pixels) = (picture.width as u32, picture.height as u32, picture.bytes.clone());
    let png = PngImage { width, height, colour: Colour::Rgb, pixels, texts: indexmap::IndexMap::new() };
    std::fs::write(input(bench, path), write_png(&png, 1).unwrap()).unwrap();
}

/// A bench with a data set in the folder `set`, in order.
pub(crate) fn bench(pictures: &[Picture]) -> Bench {
    let bench = Bench::new();
    for (i, picture) in pictures.iter().enumerate() {
        write(&bench, &format!("set/{i:02}.png"), picture);
    }
    bench
}

pub(crate) fn run(bench: &Bench, g: GraphBuilder, link: &Link) -> Result<Report, RunError> {
    common::node(&g, "PreviewAny", &[("source", link)], &json!({}));
    let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
    bench.engine.start(g.into_prompt()).options(options).run()
}

/// What a class makes of the data set.
pub(crate) fn made(bench: &Bench, class: &str, widgets: &Value) -> Result<Values, RunError> {
    let g = GraphBuilder::new();
    let set = common::node(&g, "LoadImageDataSetFromFolder", &[], &json!({"folder": "set"}));
    let name = if matches!(class, "Canny" | "ImageQuantize") { "image" } else { "images" };
    let out = common::node(&g, class, &[(name, &set)], widgets);
    run(bench, g, &out).map(|report| report.values(&out).unwrap().clone())
}

pub(crate) fn image(picture: &Picture, class: &str, widgets: &Value) -> Image {
    one(&made(&bench(std::slice::from_ref(picture)), class, widgets).unwrap())
}

pub(crate) fn all<T: FromValue>(values: &Values) -> Vec<T> {
    values.iter().map(|value| T::from_value(value.clone()).ok().unwrap()).collect()
}

pub(crate) fn refusal(pictures: &[Picture], class: &str, widgets: &Value) -> String {
    let error = made(&bench(pictures), class, widgets).unwrap_err();
    format!("{error:?} {error}")
}

/// Images of one pixel in a row, told apart by their width.
pub(crate) fn row(count: usize) -> Vec<Picture> {
    (1..=count).map(|width| picture(1, width, |_, _, _| 50)).collect()
}

pub(crate) fn widths(values: &Values) -> Vec<usize> {
    all::<Image>(values).iter().map(|image| image.dims()[2]).collect()
}
