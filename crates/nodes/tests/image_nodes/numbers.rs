//! Edges, colours, sizes, cuts, grids: the numbers of the programs that ComfyUI asks.

use kiln_nodes::Image;
use serde_json::{Value, json};

use crate::bench::{Picture, all, bench, bytes, data, hash, image, made, named, number, picture, refusal, tall};
use crate::common::one;

#[test]
fn few_colours_are_pillows() {
    let data = data();
    for case in data["quantize"].as_array().unwrap() {
        let (name, colors, dither) = (case[0].as_str().unwrap(), &case[1], &case[2]);
        let found = image(&named(name, 10, 12), "ImageQuantize", &json!({"colors": colors, "dither": dither}));
        assert_eq!(hash(&bytes(&found)), case[3].as_str().unwrap(), "{case} {:?}", bytes(&found));
    }
}

#[test]
fn few_colours_of_many_are_pillows() {
    // More colours than the palette is made of bit for bit, in one of the two images.
    for case in data()["quantize_large"].as_array().unwrap() {
        let (name, colors, dither) = (case[0].as_str().unwrap(), &case[1], &case[2]);
        let found = image(&named(name, 300, 310), "ImageQuantize", &json!({"colors": colors, "dither": dither}));
        assert_eq!(hash(&bytes(&found)), case[3].as_str().unwrap(), "{case}");
    }
}

#[test]
fn edges_are_kornias() {
    for case in data()["canny"].as_array().unwrap() {
        let (name, height, width) = (case[0].as_str().unwrap(), number(&case[1]), number(&case[2]));
        let widgets = json!({"low_threshold": case[3], "high_threshold": case[4]});
        let found = image(&named(name, height, width), "Canny", &widgets);
        assert_eq!(found.dims(), [1, height, width, 3]);
        let bits: Vec<u8> = bytes(&found).chunks(3).map(|p| p[0] & 1).collect();
        let packed = |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (i, bit)| byte | bit << (7 - i));
        let hex = bits.chunks(8).map(|bits| format!("{:02x}", packed(bits))).collect::<Vec<_>>().concat();
        assert_eq!(hex, case[5].as_str().unwrap(), "{name} {height}x{width} {widgets}");
    }
}

#[test]
fn edges_of_nothing_are_refused() {
    let small = named("noise", 2, 9);
    let message = refusal(std::slice::from_ref(&small), "Canny", &json!({"low_threshold": 0.1, "high_threshold": 0.2}));
    assert!(message.contains("Canny") && message.contains("both sides need 3 pixels"), "{message}");
    let widgets = json!({"low_threshold": 0.5, "high_threshold": 0.2});
    let message = refusal(&[named("noise", 9, 9)], "Canny", &widgets);
    assert!(message.contains("low threshold is 0.5 and the high one 0.2"), "{message}");
}

#[test]
fn sides_of_a_length_are_pillows() {
    for case in data()["resize"].as_array().unwrap() {
        let wide = named(case[0].as_str().unwrap(), 10, 12);
        let picture = if case[3] == true { tall(&wide) } else { wide };
        let (class, name) = match case[1].as_str().unwrap() {
            "shorter" => ("ResizeImagesByShorterEdge", "shorter_edge"),
            _ => ("ResizeImagesByLongerEdge", "longer_edge"),
        };
        let found = image(&picture, class, &json!({name: case[2]}));
        assert_eq!(found.dims(), [1, number(&case[5]), number(&case[4]), 3], "{case}");
        assert_eq!(hash(&bytes(&found)), case[6].as_str().unwrap(), "{case}");
    }
}

#[test]
fn colours_count_as_much_as_they_are_opaque_when_resized() {
    let (noise, smooth) = (named("noise", 10, 12), named("smooth", 10, 12));
    let rgba = noise.bytes.chunks(3).zip(smooth.bytes.chunks(3)).flat_map(|(p, a)| [p[0], p[1], p[2], a[0]]).collect();
    let pixels = kiln_models::image::Pixels::new([10, 12, 4], rgba).unwrap();
    let found = pixels.resized(6, 7).unwrap();
    assert_eq!(hash(found.bytes()), data()["resize_rgba"].as_str().unwrap());
}

#[test]
fn cuts_are_in_the_middle_or_where_numpys_numbers_say() {
    let noise = named("noise", 10, 12);
    let cut = |top: usize, left: usize, height: usize, width: usize| {
        let at = |y: i64, x: i64, c: i64| {
            i64::from(noise.bytes[((y as usize + top) * 12 + x as usize + left) * 3 + c as usize])
        };
        picture(height, width, at).bytes
    };
    let middle = image(&noise, "CenterCropImages", &json!({"width": 5, "height": 4}));
    assert_eq!((middle.dims(), bytes(&middle)), ([1, 4, 5, 3], cut(3, 3, 4, 5)));
    let small = image(&noise, "CenterCropImages", &json!({"width": 50, "height": 3}));
    assert_eq!((small.dims(), bytes(&small)), ([1, 3, 12, 3], cut(3, 0, 3, 12)));
    let random = image(&noise, "RandomCropImages", &json!({"width": 5, "height": 4, "seed": 77}));
    let data = data();
    assert_eq!(bytes(&random), cut(number(&data["crop"][1]), number(&data["crop"][0]), 4, 5));
    let whole = image(&noise, "RandomCropImages", &json!({"width": 12, "height": 99, "seed": u64::MAX}));
    assert_eq!(bytes(&whole), noise.bytes);
}

#[test]
fn light_contrast_and_scale_are_the_formulas() {
    let noise = named("noise", 6, 7);
    let values: Vec<f32> = noise.bytes.iter().map(|v| f32::from(*v) / 255.0).collect();
    let near = |class: &str, widgets: Value, formula: &dyn Fn(f32) -> f32| {
        let found = image(&noise, class, &widgets).values().unwrap();
        let far = found.iter().zip(&values).map(|(v, x)| (v - formula(*x)).abs()).fold(0.0, f32::max);
        assert!(far < 1e-6, "{class}: {far}");
    };
    near("AdjustBrightness", json!({"factor": 1.7}), &|x| (x * 1.7).clamp(0.0, 1.0));
    near("AdjustContrast", json!({"factor": 1.7}), &|x| ((x - 0.5) * 1.7 + 0.5).clamp(0.0, 1.0));
    near("NormalizeImages", json!({"mean": 0.25, "std": 0.5}), &|x| (x - 0.25) / 0.5);
}

#[test]
fn a_grid_is_pillows() {
    let pictures = [named("noise", 10, 12), named("smooth", 10, 12), named("smooth", 9, 5)];
    let widgets = json!({"columns": 2, "cell_width": 32, "cell_height": 32, "padding": 3});
    let found: Image = one(&made(&bench(&pictures), "ImageGrid", &widgets).unwrap());
    assert_eq!(found.dims(), [1, 67, 67, 3]);
    assert_eq!(hash(&bytes(&found)), data()["grid"].as_str().unwrap());
}

#[test]
fn images_that_look_alike_are_left_out() {
    let (noise, smooth) = (named("noise", 10, 12), named("smooth", 10, 12));
    let dark = Picture { bytes: smooth.bytes.iter().map(|v| v / 2).collect(), ..smooth.clone() };
    let flat = picture(4, 4, |_, _, _| 9);
    let pictures = [noise, smooth, named("smooth", 20, 20), named("noise", 33, 21), dark, flat];
    for (picture, expected) in pictures.iter().zip(data()["hashes"].as_array().unwrap()) {
        let dims = [picture.height, picture.width, 3];
        let found = kiln_models::image::Pixels::new(dims, picture.bytes.clone()).unwrap().fingerprint().unwrap();
        assert_eq!(format!("{found:064b}"), expected.as_str().unwrap());
    }
    let kept = |threshold: f64| {
        let values = made(&bench(&pictures), "ImageDeduplication", &json!({"similarity_threshold": threshold}));
        all::<Image>(&values.unwrap()).iter().map(|image| image.dims()[1..3].to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(kept(0.95), [[10, 12], [10, 12], [33, 21], [4, 4]]);
    assert_eq!(kept(0.0), [[10, 12]]);
}
