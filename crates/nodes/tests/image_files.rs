//! Image files of every format, whole and damaged, against what ComfyUI's loader makes of them with PIL 12 and 13.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::Bench;
use kiln_exec::{GraphBuilder, Link, RunOptions};
use kiln_nodes::files::{FileError, load_image, load_image_bytes};
use kiln_nodes::{Image, Mask};
use serde::Deserialize;
use serde_json::json;

/// Bytes as hexadecimal digits.
#[derive(Deserialize)]
struct Expected {
    size: [usize; 2],
    /// Red, green and blue of each image.
    images: Vec<String>,
    /// The opacity of each image, if LoadImage makes masks of it.
    opacity: Option<Vec<String>>,
    /// The opacity of the first image as LoadImageMask has it.
    alpha: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/images")
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_str(&std::fs::read_to_string(folder().join("expected.json")).unwrap()).unwrap()
}

fn hex(values: impl IntoIterator<Item = f32>) -> String {
    let byte = |value: f32| format!("{:02x}", (value * 255.0).round() as u8);
    values.into_iter().map(byte).collect::<Vec<_>>().concat()
}

#[test]
fn every_format_is_read_as_comfyui_reads_it() {
    let expected = expected();
    assert!(expected.len() >= 48);
    for (file, Expected { size, images, opacity, alpha }) in expected {
        let found = load_image(&folder().join(&file)).unwrap();
        assert_eq!(([found.width, found.height], found.count), (size, images.len()), "{file}");
        assert_eq!(hex(found.rgb), images.concat(), "{file}");
        let first = found.mask.clone().or(found.key).unwrap_or_else(|| vec![0.0; size[0] * size[1]]);
        assert_eq!(found.mask.map(|mask| hex(mask.iter().map(|v| 1.0 - v))), opacity.map(|all| all.concat()), "{file}");
        assert_eq!(hex(first.iter().take(size[0] * size[1]).map(|v| 1.0 - v)), alpha, "{file}");
    }
}

/// What a loading node returns for a file of the input folder.
fn loaded<T: kiln_exec::FromValue>(file: &str, class: &str, more: &serde_json::Value, socket: usize) -> T {
    loaded_from(&folder(), file, class, more, socket)
}

fn loaded_from<T: kiln_exec::FromValue>(
    folder: &Path,
    file: &str,
    class: &str,
    more: &serde_json::Value,
    socket: usize,
) -> T {
    let bench = Bench::new();
    let input = bench.folder(kiln_nodes::files::DirKind::Input);
    std::fs::create_dir_all(&input).unwrap();
    std::fs::copy(folder.join(file), input.join(file)).unwrap();
    let g = GraphBuilder::new();
    let mut widgets = json!({"image": file});
    widgets.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let node = common::node(&g, class, &[], &widgets);
    common::node(&g, "PreviewAny", &[("source", &node)], &json!({}));
    let link = Link::new(&node.node, socket);
    let options = RunOptions { fetch: vec![link.clone()], ..RunOptions::default() };
    let report = bench.engine.start(g.into_prompt()).options(options).run().unwrap();
    common::one(report.values(&link).unwrap())
}

#[test]
fn images_without_opacity_have_a_small_mask_each() {
    let dims = |file: &str| {
        let (image, mask): (Image, Mask) =
            (loaded(file, "LoadImage", &json!({}), 0), loaded(file, "LoadImage", &json!({}), 1));
        (image.dims(), mask.dims())
    };
    assert_eq!(dims("three.gif"), ([3, 5, 7, 3], [3, 64, 64]));
    assert_eq!(dims("three.webp"), ([3, 5, 7, 3], [3, 64, 64]));
    assert_eq!(dims("pages.tif"), ([3, 5, 7, 3], [3, 64, 64]));
    assert_eq!(dims("key_rgb.png"), ([1, 5, 7, 3], [1, 64, 64]));
    assert_eq!(dims("clear_three_2.gif"), ([4, 5, 7, 3], [4, 5, 7]));
}

#[test]
fn files_that_people_brought_give_the_images_and_masks_of_comfyui() {
    // What ComfyUI 0.3.75 saved of LoadImage's two outputs.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/brought");
    for file in ["clear.gif", "key.png", "crc.png", "short.png", "alpha.tga", "lzw.tif"] {
        let image: Image = loaded_from(&folder, file, "LoadImage", &json!({}), 0);
        let colours = load_image(&folder.join(format!("{file}.colours.png"))).unwrap();
        assert_eq!(image.dims(), [1, colours.height, colours.width, 3], "{file}");
        assert_eq!(hex(image.values().unwrap()), hex(colours.rgb), "{file}");
        let mask: Mask = loaded_from(&folder, file, "LoadImage", &json!({}), 1);
        let grey = load_image(&folder.join(format!("{file}.mask.png"))).unwrap();
        assert_eq!(mask.dims(), [1, grey.height, grey.width], "{file}");
        // A saved value is cut off, not rounded.
        let bytes: Vec<u8> = mask.values().unwrap().iter().map(|v| (v * 255.0) as u8).collect();
        let expected: Vec<u8> = grey.rgb.iter().step_by(3).map(|v| (v * 255.0).round() as u8).collect();
        assert_eq!(bytes, expected, "{file}");
    }
}

#[test]
fn a_mask_is_of_the_first_image_and_of_its_size() {
    let mask = |file: &str, channel: &str| -> Mask { loaded(file, "LoadImageMask", &json!({"channel": channel}), 0) };
    let expected = expected();
    for file in ["opaque.png", "three.gif", "key_rgb.png", "clear.gif", "grey_clear.gif", "palette_alpha.png"] {
        let (found, wanted) = (mask(file, "alpha"), &expected[file]);
        assert_eq!(found.dims(), [1, wanted.size[1], wanted.size[0]], "{file}");
        assert_eq!(hex(found.values().unwrap().iter().map(|v| 1.0 - v)), wanted.alpha, "{file}");
        let green = hex(mask(file, "green").values().unwrap());
        let bytes: Vec<char> = wanted.images[0].chars().collect();
        assert_eq!(green, bytes.chunks(6).flat_map(|p| &p[2..4]).collect::<String>(), "{file}");
    }
}

#[test]
fn a_file_without_any_pixels_stays_an_error() {
    let error = load_image(&folder().join("damaged_empty.png")).unwrap_err();
    assert!(matches!(error, FileError::Image { .. }));
    assert!(error.to_string().contains("damaged_empty.png"), "{error}");
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"\xff\x4f\xff\x51", b"P6\n9 9\n255\n", &[0; 64]]
    {
        assert!(load_image_bytes(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_photo_that_was_cut_off_shows_what_is_there() {
    let image = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 4) as u8, (y * 4) as u8, 128]));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    let whole = load_image_bytes(&jpeg).unwrap();
    let cut = load_image_bytes(&jpeg[..jpeg.len() * 3 / 4]).unwrap();
    assert_eq!((cut.width, cut.height), (64, 64));
    assert_eq!(cut.rgb[..64 * 8 * 3], whole.rgb[..64 * 8 * 3], "the first rows");
}

/// The greatest and the mean difference from what PIL saved of a file of `tests/data/near`, in steps of 255; of the mask,
/// too, where there is one.
fn differences(file: &str) -> [(f32, f32); 2] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/near");
    let (found, wanted) =
        (load_image(&folder.join(file)).unwrap(), load_image(&folder.join(format!("{file}.png"))).unwrap());
    assert_eq!((found.width, found.height, found.count), (wanted.width, wanted.height, 1), "{file}");
    assert_eq!(found.mask.is_some(), wanted.mask.is_some(), "{file}");
    let difference = |found: &[f32], wanted: &[f32]| {
        let each = || found.iter().zip(wanted).map(|(a, b)| (a - b).abs() * 255.0);
        (each().fold(0.0, f32::max), each().sum::<f32>() / found.len().max(1) as f32)
    };
    let masks = difference(&found.mask.unwrap_or_default(), &wanted.mask.unwrap_or_default());
    [difference(&found.rgb, &wanted.rgb), masks]
}

#[test]
fn a_photo_cut_inside_of_its_lines_is_grey_where_libjpeg_leaves_it_grey() {
    for (file, greatest, mean) in [
        ("cut_444.jpg", 3.0, 0.5),
        ("cut_restart.jpg", 40.0, 2.0),
        ("cut_420.jpg", 40.0, 2.0),
        ("cut_optimized.jpg", 3.0, 0.5),
        ("cut_grey.jpg", 3.0, 0.5),
        ("cut_progressive.jpg", 24.0, 2.0),
        // libjpeg sees nothing of it, and the scans that are whole with the mark cut off.
        ("cut_mark.jpg", 6.0, 1.0),
        // PIL takes the chroma of its own file for halved: what was written stands beside it.
        ("chroma.tif", 1.1, 0.1),
    ] {
        let [found, _] = differences(file);
        assert!(found.0 <= greatest && found.1 <= mean, "{file}: {found:?}");
    }
}

#[test]
fn avif_is_decoded_as_pillow_decodes_it() {
    for file in [
        "chroma_444.avif",
        "chroma_422.avif",
        "chroma_420.avif",
        "limited.avif",
        "grey.avif",
        "alpha.avif",
        "turned_2.avif",
        "turned_5.avif",
        "turned_6.avif",
        "turned_7.avif",
        "turned_8.avif",
    ] {
        let [colours, mask] = differences(file);
        assert!(colours.0 <= 3.0 && colours.1 <= 0.6 && mask.0 <= 1.0, "{file}: {colours:?} {mask:?}");
    }
    // Where there is hardly any opacity, a step of what was multiplied by it is many steps of the colour.
    let [colours, mask] = differences("multiplied.avif");
    assert!(colours.1 <= 2.0 && mask.0 <= 1.0, "{colours:?} {mask:?}");
}

#[test]
fn a_damaged_avif_is_one_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/near");
    let bytes = std::fs::read(folder.join("alpha.avif")).unwrap();
    for cut in 0..bytes.len() {
        let error = load_image_bytes(&bytes[..cut]).unwrap_err();
        assert!(cut < 12 || error.contains("AVIF image"), "{cut}: {error}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x15;
        let _ = load_image_bytes(&changed);
    }
}

#[test]
fn an_image_packed_by_a_videos_codec_is_named_with_a_way_out() {
    for (brand, kind, command) in
        [("avif", "AVIF", "image.avif"), ("avis", "AVIF", "image.avif"), ("heic", "HEIC", "image.heic")]
    {
        let file = [b"\0\0\0\x1cftyp", brand.as_bytes(), b"\0\0\0\0mif1miaf", &[0; 64][..]].concat();
        let error = load_image_bytes(&file).unwrap_err();
        assert!(error.contains(kind) && error.contains("convert it to PNG") && error.contains(command), "{error}");
    }
}

#[test]
fn too_many_frames_are_one_error() {
    let mut gif = Vec::new();
    let mut encoder = gif::Encoder::new(&mut gif, 1, 1, &[0, 0, 0, 255, 255, 255]).unwrap();
    for _ in 0..10_000 {
        encoder.write_frame(&gif::Frame::from_indexed_pixels(1, 1, vec![1], None)).unwrap();
    }
    drop(encoder);
    let error = load_image_bytes(&gif).unwrap_err();
    assert!(error.contains("more than 4096 frames"), "{error}");
}

#[test]
fn damage_anywhere_is_an_image_or_an_error() {
    // Changes of the header make sides of thousands of pixels, which is an image like another, and slow.
    const HEADER: usize = 140;
    for file in expected().into_keys() {
        let bytes = std::fs::read(folder().join(&file)).unwrap();
        for cut in (0..bytes.len()).step_by(7) {
            let _ = load_image_bytes(&bytes[..cut]);
            if cut >= HEADER {
                let mut changed = bytes.clone();
                changed[cut] ^= 0x55;
                let _ = load_image_bytes(&changed);
            }
        }
    }
}
