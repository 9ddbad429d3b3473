//! One example per node on images, masks, latents and text: what goes in, what comes out.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::Bench;
use kiln_exec::{FromValue, GraphBuilder, IntoValue, NodeSpec, Source, Value, Values};
use kiln_nodes::{Image, Latent, Mask};
use serde_json::{Value as Json, json};

/// Runs one node on literals and payloads, and returns what its sockets carry.
fn run(class: &str, inputs: &[(&str, Value)]) -> Vec<Vec<Value>> {
    let bench = Bench::new();
    try_run(&bench, class, inputs).unwrap_or_else(|error| panic!("{class}: {error}"))
}

fn try_run(bench: &Bench, class: &str, inputs: &[(&str, Value)]) -> Result<Vec<Vec<Value>>, kiln_exec::RunError> {
    let graph = GraphBuilder::new();
    let fields = |spec: NodeSpec, (name, value): &(&str, Value)| spec.input(name, Source::from(value.clone()));
    let id = graph.add_spec(inputs.iter().fold(NodeSpec::new(class), fields));
    let count = bench.engine.registry().get(class).unwrap().def().outputs.len();
    let links: Vec<_> = (0..count).map(|socket| kiln_exec::Link::new(&id, socket)).collect();
    graph.add_spec(NodeSpec::new("PreviewAny").input("source", Source::from(Value::Null)));
    let options = kiln_exec::RunOptions { fetch: links.clone(), ..kiln_exec::RunOptions::default() };
    let report = bench.engine.start(graph.into_prompt()).options(options).run()?;
    Ok(links.iter().map(|link| report.values(link).map(Values::iter).unwrap().cloned().collect()).collect())
}

fn image(dims: [usize; 4], values: &[f32]) -> Value {
    Image::from_values(values.to_vec(), dims, &Device::flex()).unwrap().into_value()
}

fn mask(dims: [usize; 3], values: &[f32]) -> Value {
    Mask::from_values(values.to_vec(), dims, &Device::flex()).unwrap().into_value()
}

/// A latent of one channel... of four equal ones.
fn latent(rows: usize, columns: usize, values: &[f32]) -> Value {
    let values = values.repeat(4);
    let data = TensorData::new(values, [1, 4, rows, columns]);
    Latent::new(Tensor::from_data(data, &Device::flex())).into_value()
}

fn int(value: i64) -> Value {
    value.into_value()
}

fn float(value: f64) -> Value {
    value.into_value()
}

fn word(text: &str) -> Value {
    text.to_owned().into_value()
}

fn as_image(value: &Value) -> ([usize; 4], Vec<f32>) {
    let image = Image::from_value(value.clone()).ok().unwrap();
    (image.dims(), image.values().unwrap())
}

fn as_mask(value: &Value) -> ([usize; 3], Vec<f32>) {
    let mask = Mask::from_value(value.clone()).ok().unwrap();
    (mask.dims(), mask.values().unwrap())
}

/// Shape and first channel of a latent.
fn as_latent(value: &Value) -> ([usize; 4], Vec<f32>) {
    let latent = Latent::from_value(value.clone()).ok().unwrap();
    let [_, _, rows, columns] = latent.dims();
    let values = latent.tensor().into_data().try_to_vec::<f32>().unwrap();
    (latent.dims(), values[..rows * columns].to_vec())
}

fn json_of(value: &Value) -> Json {
    value.to_json().unwrap()
}

/// An image of one row: grey values, three channels each.
fn row(greys: &[f32]) -> Value {
    let values: Vec<f32> = greys.iter().flat_map(|g| [*g; 3]).collect();
    image([1, 1, greys.len(), 3], &values)
}

/// The first channel of an image.
fn greys(value: &Value) -> Vec<f32> {
    let ([.., channels], values) = as_image(value);
    values.chunks_exact(channels).map(|p| p[0]).collect()
}

#[test]
fn images_are_flipped_turned_cut_and_inverted() {
    let image = || row(&[0.0, 0.25, 0.5, 1.0]);
    let flip = run("ImageFlip", &[("image", image()), ("flip_method", word("y-axis: horizontally"))]);
    assert_eq!(greys(&flip[0][0]), [1.0, 0.5, 0.25, 0.0]);
    let turned = run("ImageRotate", &[("image", image()), ("rotation", word("90 degrees"))]);
    assert_eq!(as_image(&turned[0][0]).0, [1, 4, 1, 3]);
    assert_eq!(greys(&turned[0][0]), [0.0, 0.25, 0.5, 1.0]);
    let back = run("ImageRotate", &[("image", image()), ("rotation", word("180 degrees"))]);
    assert_eq!(greys(&back[0][0]), [1.0, 0.5, 0.25, 0.0]);
    let cut = [("image", image()), ("width", int(2)), ("height", int(9)), ("x", int(1)), ("y", int(0))];
    assert_eq!(greys(&run("ImageCrop", &cut)[0][0]), [0.25, 0.5]);
    assert_eq!(greys(&run("ImageInvert", &[("image", image())])[0][0]), [1.0, 0.75, 0.5, 0.0]);
}

#[test]
fn images_are_resized_by_every_rule() {
    let image = || row(&[0.0, 1.0]);
    for (method, expected) in [
        ("nearest-exact", vec![0.0, 0.0, 1.0, 1.0]),
        ("bilinear", vec![0.0, 0.25, 0.75, 1.0]),
        ("area", vec![0.0, 0.0, 1.0, 1.0]),
    ] {
        let inputs = [
            ("image", image()),
            ("upscale_method", word(method)),
            ("width", int(4)),
            ("height", int(0)),
            ("crop", word("disabled")),
        ];
        let out = run("ImageScale", &inputs);
        assert_eq!(as_image(&out[0][0]).0, [1, 2, 4, 3], "{method} keeps the ratio of the sides");
        assert_eq!(greys(&out[0][0])[..4], expected, "{method}");
    }
    let by = [("image", image()), ("upscale_method", word("area")), ("scale_by", float(0.5))];
    assert_eq!(greys(&run("ImageScaleBy", &[by[0].clone(), by[1].clone(), ("scale_by", float(2.0))])[0][0]).len(), 8);
    let largest = [("image", image()), ("upscale_method", word("area")), ("largest_size", int(6))];
    assert_eq!(as_image(&run("ImageScaleToMaxDimension", &largest)[0][0]).0, [1, 3, 6, 3]);
    let padded = [
        ("image", image()),
        ("target_width", int(4)),
        ("target_height", int(4)),
        ("padding_color", word("white")),
        ("interpolation", word("nearest-exact")),
    ];
    let out = run("ResizeAndPadImage", &padded);
    assert_eq!(greys(&out[0][0]), [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
}

#[test]
fn batches_are_joined_taken_repeated_and_cut() {
    let two = || image([2, 1, 1, 3], &[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let joined = run("ImageBatch", &[("image1", two()), ("image2", row(&[0.5, 0.5]))]);
    assert_eq!(greys(&joined[0][0]), [0.0, 1.0, 0.5]);
    let taken = run("ImageFromBatch", &[("image", two()), ("batch_index", int(1)), ("length", int(5))]);
    assert_eq!(greys(&taken[0][0]), [1.0]);
    assert_eq!(greys(&run("RepeatImageBatch", &[("image", two()), ("amount", int(2))])[0][0]), [0.0, 1.0, 0.0, 1.0]);
    let cut = run("RebatchImages", &[("images", two()), ("batch_size", int(1))]);
    assert_eq!(cut[0].len(), 2);
    let size = run("GetImageSize", &[("image", two())]);
    assert_eq!(size.iter().map(|socket| json_of(&socket[0])).collect::<Vec<_>>(), [json!(1), json!(1), json!(2)]);
    let with_alpha = run("ImageBatch", &[("image1", two()), ("image2", image([1, 1, 1, 4], &[0.5; 4]))]);
    assert_eq!(as_image(&with_alpha[0][0]).1[3], 1.0);
}

#[test]
fn images_are_padded_stitched_blended_and_pasted() {
    let sides = [("left", int(1)), ("top", int(0)), ("right", int(0)), ("bottom", int(0)), ("feathering", int(0))];
    let mut inputs = vec![("image", row(&[1.0, 1.0]))];
    inputs.extend(sides);
    let padded = run("ImagePadForOutpaint", &inputs);
    assert_eq!(greys(&padded[0][0]), [0.5, 1.0, 1.0]);
    assert_eq!(as_mask(&padded[1][0]), ([1, 1, 3], vec![1.0, 0.0, 0.0]));
    let stitched = run(
        "ImageStitch",
        &[
            ("image1", row(&[0.0])),
            ("image2", row(&[1.0])),
            ("direction", word("left")),
            ("match_image_size", true.into_value()),
            ("spacing_width", int(2)),
            ("spacing_color", word("red")),
        ],
    );
    let (dims, values) = as_image(&stitched[0][0]);
    assert_eq!((dims, &values[3..6]), ([1, 1, 4, 3], &[1.0, 0.0, 0.0][..]));
    let uneven = |colour: &str, size: i64| {
        let inputs = [
            ("image1", row(&[0.5])),
            ("image2", image([1, 3, 1, 4], &[0.5; 12])),
            ("direction", word("right")),
            ("match_image_size", false.into_value()),
            ("spacing_width", int(size)),
            ("spacing_color", word(colour)),
        ];
        as_image(&run("ImageStitch", &inputs)[0][0])
    };
    // Beside the smaller one it is white for a white gap and black for every other; opacity comes after that.
    for (colour, border) in [("white", 1.0), ("red", 0.0), ("black", 0.0)] {
        let (dims, values) = uneven(colour, 0);
        assert_eq!((dims, &values[..4]), ([1, 3, 2, 4], &[border, border, border, 1.0][..]), "{colour}");
    }
    let (dims, values) = uneven("green", 2);
    assert_eq!((dims, &values[..8]), ([1, 3, 4, 4], &[0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0][..]));
    let blend = |mode: &str| {
        let inputs = [
            ("image1", row(&[0.5])),
            ("image2", row(&[0.5])),
            ("blend_factor", float(1.0)),
            ("blend_mode", word(mode)),
        ];
        greys(&run("ImageBlend", &inputs)[0][0])[0]
    };
    assert_eq!([blend("normal"), blend("multiply"), blend("screen"), blend("difference")], [0.5, 0.25, 0.75, 0.0]);
    let pasted = run(
        "ImageCompositeMasked",
        &[
            ("destination", row(&[0.0, 0.0, 0.0])),
            ("source", row(&[1.0, 1.0])),
            ("x", int(1)),
            ("y", int(0)),
            ("resize_source", false.into_value()),
            ("mask", mask([1, 1, 2], &[0.25, 1.0])),
        ],
    );
    assert_eq!(greys(&pasted[0][0]), [0.0, 0.25, 1.0]);
}

#[test]
fn filters_keep_a_plain_image_plain() {
    let plain = || image([1, 5, 5, 3], &[0.5; 75]);
    let near = |value: &Value| as_image(value).1.iter().all(|v| (v - 0.5).abs() < 1e-5);
    assert!(near(&run("ImageBlur", &[("image", plain()), ("blur_radius", int(2)), ("sigma", float(1.0))])[0][0]));
    let sharpen = [("image", plain()), ("sharpen_radius", int(1)), ("sigma", float(1.0)), ("alpha", float(1.0))];
    assert!(near(&run("ImageSharpen", &sharpen)[0][0]));
    let error =
        try_run(&Bench::new(), "ImageBlur", &[("image", plain()), ("blur_radius", int(9)), ("sigma", float(1.0))]);
    assert!(error.unwrap_err().to_string().contains("radius of 9 is too large"));
}

#[test]
fn masks_come_from_images_and_go_back() {
    let coloured = || image([1, 1, 2, 3], &[1.0, 0.5, 0.0, 0.0, 0.0, 1.0]);
    let green = run("ImageToMask", &[("image", coloured()), ("channel", word("green"))]);
    assert_eq!(as_mask(&green[0][0]), ([1, 1, 2], vec![0.5, 0.0]));
    let blue = run("ImageColorToMask", &[("image", coloured()), ("color", int(0x0000ff))]);
    assert_eq!(as_mask(&blue[0][0]).1, [0.0, 1.0]);
    assert_eq!(greys(&run("MaskToImage", &[("mask", mask([1, 1, 2], &[0.25, 1.0]))])[0][0]), [0.25, 1.0]);
    let solid = run("SolidMask", &[("value", float(0.5)), ("width", int(2)), ("height", int(1))]);
    assert_eq!(as_mask(&solid[0][0]), ([1, 1, 2], vec![0.5, 0.5]));
    let joined = run("JoinImageWithAlpha", &[("image", coloured()), ("alpha", mask([1, 1, 2], &[1.0, 0.25]))]);
    assert_eq!(as_image(&joined[0][0]).1[3], 0.0);
    let split = run("SplitImageWithAlpha", &[("image", joined[0][0].clone())]);
    assert_eq!((as_image(&split[0][0]).0, as_mask(&split[1][0]).1), ([1, 1, 2, 3], vec![1.0, 0.25]));
    let error = try_run(&Bench::new(), "ImageToMask", &[("image", coloured()), ("channel", word("alpha"))]);
    assert!(error.unwrap_err().to_string().contains("none called `alpha`"));
}

#[test]
fn masks_are_combined_grown_and_softened() {
    let cross = || mask([1, 3, 3], &[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let grow = |by: i64, tapered: bool| {
        let inputs = [("mask", cross()), ("expand", int(by)), ("tapered_corners", tapered.into_value())];
        as_mask(&run("GrowMask", &inputs)[0][0]).1.iter().sum::<f32>()
    };
    assert_eq!([grow(0, true), grow(1, true), grow(1, false), grow(-1, true)], [1.0, 5.0, 9.0, 0.0]);
    let combined = |operation: &str| {
        let inputs = [
            ("destination", mask([1, 1, 2], &[1.0, 0.0])),
            ("source", mask([1, 1, 1], &[1.0])),
            ("x", int(1)),
            ("y", int(0)),
            ("operation", word(operation)),
        ];
        as_mask(&run("MaskComposite", &inputs)[0][0]).1
    };
    assert_eq!(
        [combined("add"), combined("multiply"), combined("xor")],
        [vec![1.0, 1.0], vec![1.0, 0.0], vec![1.0, 1.0]]
    );
    let sides = [("left", int(2)), ("top", int(0)), ("right", int(0)), ("bottom", int(0))];
    let mut inputs = vec![("mask", mask([1, 1, 3], &[1.0; 3]))];
    inputs.extend(sides);
    assert_eq!(as_mask(&run("FeatherMask", &inputs)[0][0]).1, [0.5, 1.0, 1.0]);
    let hard = run("ThresholdMask", &[("mask", mask([1, 1, 2], &[0.4, 0.6])), ("value", float(0.5))]);
    assert_eq!(as_mask(&hard[0][0]).1, [0.0, 1.0]);
    assert_eq!(as_mask(&run("InvertMask", &[("mask", mask([1, 1, 2], &[0.25, 1.0]))])[0][0]).1, [0.75, 0.0]);
    let cut = [("mask", cross()), ("x", int(1)), ("y", int(1)), ("width", int(2)), ("height", int(1))];
    assert_eq!(as_mask(&run("CropMask", &cut)[0][0]), ([1, 1, 2], vec![1.0, 0.0]));
}

#[test]
fn latents_are_made_resized_turned_and_cut() {
    let made = run("EmptyLatentImage", &[("width", int(64)), ("height", int(32)), ("batch_size", int(2))]);
    assert_eq!(as_latent(&made[0][0]).0, [2, 4, 4, 8]);
    let inputs = [
        ("samples", latent(1, 2, &[0.0, 1.0])),
        ("upscale_method", word("nearest-exact")),
        ("width", int(128)),
        ("height", int(64)),
        ("crop", word("disabled")),
    ];
    assert_eq!(as_latent(&run("LatentUpscale", &inputs)[0][0]).0, [1, 4, 8, 16]);
    let by = [("samples", latent(1, 2, &[0.0, 1.0])), ("upscale_method", word("bilinear")), ("scale_by", float(2.0))];
    assert_eq!(as_latent(&run("LatentUpscaleBy", &by)[0][0]).1, [0.0, 0.25, 0.75, 1.0, 0.0, 0.25, 0.75, 1.0]);
    let turned = run("LatentRotate", &[("samples", latent(1, 2, &[1.0, 2.0])), ("rotation", word("270 degrees"))]);
    assert_eq!(as_latent(&turned[0][0]), ([1, 4, 2, 1], vec![2.0, 1.0]));
    let flipped = [("samples", latent(2, 1, &[1.0, 2.0])), ("flip_method", word("x-axis: vertically"))];
    assert_eq!(as_latent(&run("LatentFlip", &flipped)[0][0]).1, [2.0, 1.0]);
    let cut =
        [("samples", latent(1, 4, &[1.0, 2.0, 3.0, 4.0])), ("dim", word("x")), ("index", int(-3)), ("amount", int(2))];
    assert_eq!(as_latent(&run("LatentCut", &cut)[0][0]).1, [2.0, 3.0]);
}

#[test]
fn empty_latents_have_the_cells_of_their_family() {
    let size = |width: i64, height: i64| vec![("width", int(width)), ("height", int(height)), ("batch_size", int(2))];
    for (class, inputs, right) in [
        ("EmptyHunyuanImageLatent", size(128, 96), vec![[2, 64, 3, 4]]),
        ("EmptyChromaRadianceLatentImage", size(32, 16), vec![[2, 3, 16, 32]]),
        (
            "StableCascade_EmptyLatentImage",
            [size(1024, 768), vec![("compression", int(42))]].concat(),
            vec![[2, 16, 18, 24], [2, 4, 192, 256]],
        ),
    ] {
        let made = run(class, &inputs);
        let dims: Vec<_> = made.iter().map(|socket| as_latent(&socket[0]).0).collect();
        assert_eq!(dims, right, "{class}");
        assert!(made.iter().all(|socket| as_latent(&socket[0]).1.iter().all(|value| *value == 0.0)), "{class}");
    }
    let bench = Bench::new();
    let small = [size(256, 256), vec![("compression", int(300))]].concat();
    let error = try_run(&bench, "StableCascade_EmptyLatentImage", &small).unwrap_err();
    assert!(format!("{error} {error:?}").contains("has no cells"), "{error:?}");
}

#[test]
fn images_become_latents_of_cascades_first_stage_as_large_as_the_compression_wants() {
    let bench = Bench::new();
    let encoded = |class: &str, width: u32, compression: Option<u32>| {
        let g = GraphBuilder::new();
        let checkpoint =
            common::node(&g, "CheckpointLoaderSimple", &[], &json!({"ckpt_name": "fluent-tiny.safetensors"}));
        let vae = kiln_exec::Link::new(&checkpoint.node, 2);
        let size = json!({"width": width, "height": 32, "batch_size": 2, "color": 0x0040_c0f0});
        let image = common::node(&g, "EmptyImage", &[], &size);
        let (name, widgets) = compression.map_or(("pixels", json!({})), |n| ("image", json!({"compression": n})));
        let first = common::node(&g, class, &[(name, &image), ("vae", &vae)], &widgets);
        let second = kiln_exec::Link::new(&first.node, 1);
        let fetch = if compression.is_some() { vec![first.clone(), second.clone()] } else { vec![first.clone()] };
        common::node(&g, "PreviewAny", &[("source", &first)], &json!({}));
        let options = kiln_exec::RunOptions { fetch: fetch.clone(), ..kiln_exec::RunOptions::default() };
        let report = bench.engine.start(g.into_prompt()).options(options).run();
        report.map(|report| {
            fetch.iter().map(|link| as_latent(report.values(link).unwrap().at(0).unwrap())).collect::<Vec<_>>()
        })
    };
    let plain = encoded("VAEEncode", 48, None).unwrap();
    let staged = encoded("StableCascade_StageC_VAEEncode", 48, Some(8)).unwrap();
    assert_eq!(staged[0].0, [2, 4, 4, 6]);
    assert!(common::distance(&staged[0].1, &plain[0].1) < 1e-5);
    assert_eq!(staged[1], ([2, 4, 8, 12], vec![0.0; 8 * 12]));
    let small = encoded("StableCascade_StageC_VAEEncode", 50, Some(16)).unwrap();
    assert_eq!((small[0].0, small[1].0), ([2, 4, 2, 3], [2, 4, 8, 12]));
    let error = encoded("StableCascade_StageC_VAEEncode", 16, Some(42)).unwrap_err();
    assert!(format!("{error} {error:?}").contains("lower `compression`"), "{error:?}");
}

#[test]
fn latents_are_mixed_and_put_together() {
    let pair = |a: f32, b: f32| [("samples1", latent(1, 1, &[a])), ("samples2", latent(1, 1, &[b]))];
    assert_eq!(as_latent(&run("LatentAdd", &pair(1.0, 2.0))[0][0]).1, [3.0]);
    assert_eq!(as_latent(&run("LatentSubtract", &pair(1.0, 2.0))[0][0]).1, [-1.0]);
    let scaled = [("samples", latent(1, 1, &[2.0])), ("multiplier", float(-0.5))];
    assert_eq!(as_latent(&run("LatentMultiply", &scaled)[0][0]).1, [-1.0]);
    let mut blend = pair(1.0, 3.0).to_vec();
    blend.push(("blend_factor", float(0.25)));
    assert_eq!(as_latent(&run("LatentBlend", &blend)[0][0]).1, [2.5]);
    let mut mixed = pair(1.0, 3.0).to_vec();
    mixed.push(("ratio", float(0.5)));
    assert!((as_latent(&run("LatentInterpolate", &mixed)[0][0]).1[0] - 2.0).abs() < 1e-6);
    let mut beside = pair(1.0, 3.0).to_vec();
    beside.push(("dim", word("-x")));
    assert_eq!(as_latent(&run("LatentConcat", &beside)[0][0]).1, [3.0, 1.0]);
    let composed = [
        ("samples_to", latent(1, 4, &[0.0; 4])),
        ("samples_from", latent(1, 2, &[1.0, 1.0])),
        ("x", int(16)),
        ("y", int(0)),
        ("feather", int(16)),
    ];
    assert_eq!(as_latent(&run("LatentComposite", &composed)[0][0]).1, [0.0, 0.0, 0.5, 1.0]);
}

#[test]
fn latents_in_batches_keep_the_noise_of_their_place() {
    let three = run("RepeatLatentBatch", &[("samples", latent(1, 1, &[1.0])), ("amount", int(3))]);
    let taken =
        run("LatentFromBatch", &[("samples", three[0][0].clone()), ("batch_index", int(1)), ("length", int(2))]);
    let latent_of = |value: &Value| Latent::from_value(value.clone()).ok().unwrap();
    assert_eq!(latent_of(&taken[0][0]).batch_index.as_deref(), Some(&[1, 2][..]));
    let repeated = run("RepeatLatentBatch", &[("samples", taken[0][0].clone()), ("amount", int(2))]);
    assert_eq!(latent_of(&repeated[0][0]).batch_index.as_deref(), Some(&[1, 2, 3, 4][..]));
    let joined = run("LatentBatch", &[("samples1", taken[0][0].clone()), ("samples2", latent(1, 1, &[1.0]))]);
    assert_eq!(latent_of(&joined[0][0]).batch_index.as_deref(), Some(&[1, 2, 0][..]));
    let fixed = [("samples", taken[0][0].clone()), ("seed_behavior", word("fixed"))];
    assert_eq!(latent_of(&run("LatentBatchSeedBehavior", &fixed)[0][0]).batch_index.as_deref(), Some(&[1, 1][..]));
    let cut = run("RebatchLatents", &[("latents", three[0][0].clone()), ("batch_size", int(2))]);
    assert_eq!(cut[0].len(), 2);
    let masked = run("SetLatentNoiseMask", &[("samples", latent(1, 1, &[1.0])), ("mask", mask([1, 2, 2], &[1.0; 4]))]);
    assert_eq!(latent_of(&masked[0][0]).noise_mask.unwrap().dims(), [1, 1, 2, 2]);
}

#[test]
fn texts_are_joined_cut_and_searched() {
    let text = |class: &str, inputs: &[(&str, Value)]| json_of(&run(class, inputs)[0][0]);
    let a = ("string", word("Hello World"));
    assert_eq!(
        text("StringConcatenate", &[("string_a", word("a")), ("string_b", word("b")), ("delimiter", word("-"))]),
        "a-b"
    );
    assert_eq!(text("StringSubstring", &[a.clone(), ("start", int(-5)), ("end", int(99))]), "World");
    assert_eq!(text("StringLength", std::slice::from_ref(&a)), 11);
    assert_eq!(
        text("CaseConverter", &[("string", word("big red apple")), ("mode", word("Title Case"))]),
        "Big Red Apple"
    );
    assert_eq!(text("StringTrim", &[("string", word("  a ")), ("mode", word("Left"))]), "a ");
    assert_eq!(text("StringReplace", &[a.clone(), ("find", word("o")), ("replace", word("0"))]), "Hell0 W0rld");
    let contains = [a.clone(), ("substring", word("WORLD")), ("case_sensitive", false.into_value())];
    assert_eq!(text("StringContains", &contains), true);
    let switches =
        [("case_insensitive", true.into_value()), ("multiline", false.into_value()), ("dotall", false.into_value())];
    let mut matches = vec![a.clone(), ("regex_pattern", word("w(o)r"))];
    matches.extend(switches.clone());
    assert_eq!(text("RegexMatch", &matches), true);
    let mut extract =
        vec![a.clone(), ("regex_pattern", word("(l+)")), ("mode", word("All Groups")), ("group_index", int(1))];
    extract.extend(switches);
    assert_eq!(text("RegexExtract", &extract), "ll\nl");
    let replace = [a, ("regex_pattern", word("(\\w+) (\\w+)")), ("replace", word("\\2 $ \\1"))];
    assert_eq!(text("RegexReplace", &replace), "World $ Hello");
}

#[test]
fn noise_levels_are_made_split_flipped_and_extended() {
    let made = run(
        "KarrasScheduler",
        &[("steps", int(3)), ("sigma_max", float(10.0)), ("sigma_min", float(0.1)), ("rho", float(7.0))],
    );
    let levels = |value: &Value| kiln_nodes::payload::Sigmas::from_value(value.clone()).ok().unwrap().0.to_vec();
    assert_eq!(levels(&made[0][0]).len(), 4);
    let split = run("SplitSigmas", &[("sigmas", made[0][0].clone()), ("step", int(1))]);
    assert_eq!((levels(&split[0][0]).len(), levels(&split[1][0]).len()), (2, 3));
    assert_eq!(levels(&run("FlipSigmas", &[("sigmas", made[0][0].clone())])[0][0])[0], 0.0001);
    let first = [("sigmas", made[0][0].clone()), ("sigma", float(12.0))];
    assert_eq!(levels(&run("SetFirstSigma", &first)[0][0])[0], 12.0);
    let extended = run(
        "ExtendIntermediateSigmas",
        &[
            ("sigmas", made[0][0].clone()),
            ("steps", int(2)),
            ("start_at_sigma", float(-1.0)),
            ("end_at_sigma", float(0.0)),
            ("spacing", word("linear")),
        ],
    );
    assert_eq!(levels(&extended[0][0]).len(), 7);
}
