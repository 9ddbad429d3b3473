//! Folders, saved files and images, without any node.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use kiln_nodes::files::{
    Colour, DirKind, FileError, Folders, MODEL_FOLDERS, Moment, PngImage, SavePath, load_image, load_image_as_stored,
    read_png, write_new, write_png,
};

const NOON: Moment = Moment { year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0 };

fn touch(root: &Path, name: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"x").unwrap();
}

#[test]
fn models_are_listed_recursively_sorted_and_once() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "models/checkpoints/b.safetensors",
        "models/checkpoints/sd15/a.safetensors",
        "models/checkpoints/.git/hidden.safetensors",
        "models/checkpoints/notes.txt",
        "models/clip/l.safetensors",
        "models/text_encoders/g.safetensors",
        "output/checkpoints/b.safetensors",
    ] {
        touch(root.path(), name);
    }
    let folders = Folders::under(root.path());
    assert_eq!(folders.models("checkpoints"), ["b.safetensors", "sd15/a.safetensors"]);
    assert_eq!(folders.models("clip"), ["g.safetensors", "l.safetensors"]);
    assert!(folders.model("checkpoints", "sd15/a.safetensors").unwrap().ends_with("sd15/a.safetensors"));
    assert!(folders.models("no such kind").is_empty());
}

#[test]
fn models_are_listed_whatever_format_they_have() {
    let root = tempfile::tempdir().unwrap();
    let listed = ["a.bin", "b.ckpt", "c.gguf", "d.pkl", "e.pt", "f.pt2", "g.PTH", "h.safetensors", "i.sft"];
    for name in listed.iter().chain(&["j.txt", "k.yaml", "l.zip", "pth"]) {
        touch(root.path(), &format!("models/upscale_models/{name}"));
    }
    assert_eq!(Folders::under(root.path()).models("upscale_models"), listed);
}

#[test]
fn the_bundled_models_appear_beside_those_in_folders() {
    let root = tempfile::tempdir().unwrap();
    for name in ["assets/fluent-tiny.safetensors", "assets/realesr-x2.safetensors", "assets/README.md"] {
        touch(root.path(), name);
    }
    let folders = Folders::under(root.path()).with_bundled(root.path().join("assets"));
    assert_eq!(folders.models("checkpoints"), ["fluent-tiny.safetensors"]);
    assert_eq!(folders.models("upscale_models"), ["realesr-x2.safetensors"]);
    assert!(folders.model("checkpoints", "fluent-tiny.safetensors").unwrap().is_file());
}

#[test]
fn folders_of_extra_paths_are_searched_in_comfyuis_order() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    touch(root.path(), "yaml/readme.md");
    let first =
        "a:\n  base_path: ../other\n  unet: u\n  clip: |\n    one\n    two\n  LLM: llm\n  custom_nodes: nodes\n";
    let second =
        "b:\n  is_default: true\n  base_path: ../other\n  text_encoders: |\n    three\n    two\n  vae: ../models/vae\n";
    fs::write(at("yaml/first.yaml"), first).unwrap();
    fs::write(at("yaml/second.yaml"), second).unwrap();
    let mut folders = Folders::of_installation(root.path()).unwrap();
    for name in ["yaml/first.yaml", "yaml/second.yaml", "yaml/first.yaml"] {
        folders.add_extra_paths(at(name)).unwrap();
    }
    let of = |folders: &Folders, kind: &str| -> Vec<String> {
        let strip = |path: std::path::PathBuf| path.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned();
        folders.model_folders(kind).into_iter().map(strip).collect()
    };
    // Each folder of a default section goes to the front in turn; one that is known moves there, or stays.
    let right = ["other/two", "other/three", "models/text_encoders", "models/clip", "other/one", "output/clip"];
    assert_eq!(of(&folders, "text_encoders"), right);
    let right = ["models/unet", "models/diffusion_models", "other/u", "output/diffusion_models"];
    assert_eq!(of(&folders, "diffusion_models"), right);
    assert_eq!(of(&folders, "vae"), ["models/vae", "output/vae"]);
    for name in ["other/llm/model.onnx", "other/llm/tokens.json", "other/two/same.sft", "models/clip/same.sft"] {
        touch(root.path(), name);
    }
    assert_eq!(folders.models("LLM"), ["model.onnx", "tokens.json"], "all files of a kind that ComfyUI lacks");
    assert_eq!(folders.model("clip", "same.sft").unwrap(), at("other/two/same.sft"));
    assert_eq!(folders.kinds().skip(MODEL_FOLDERS.len()).collect::<Vec<_>>(), ["LLM", "custom_nodes"]);

    fs::write(at("extra_model_paths.yaml"), "c:\n  loras: mine\n").unwrap();
    let own = Folders::of_installation(root.path()).unwrap();
    assert_eq!(of(&own, "loras"), ["models/loras", "mine", "output/loras"]);
    assert_eq!(of(&Folders::under(root.path()), "loras"), ["models/loras", "output/loras"], "nothing is read");
    fs::write(at("extra_model_paths.yaml"), "c:\n  vae: good\n  loras: 1\n").unwrap();
    let error = Folders::of_installation(root.path()).unwrap_err();
    assert!(matches!(&error, FileError::ExtraPaths { line: Some(3), .. }), "{error:?}");
    let mut folders = Folders::under(root.path());
    assert!(folders.add_extra_paths(at("extra_model_paths.yaml")).is_err());
    assert_eq!(of(&folders, "vae"), ["models/vae", "output/vae"], "nothing of a file that is refused");
    assert!(matches!(folders.add_extra_paths(at("yaml")), Err(FileError::Io { .. })), "a folder is no file");
}

#[test]
fn a_list_of_folders_that_changes_moves_only_its_own_folders() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let of = |folders: &Folders| -> Vec<String> {
        let strip = |path: std::path::PathBuf| path.strip_prefix(root.path()).unwrap().to_string_lossy().into_owned();
        folders.model_folders("vae").into_iter().map(strip).collect()
    };
    fs::write(at("first.yaml"), "a:\n  vae: one\n").unwrap();
    fs::write(at("second.yaml"), "a:\n  vae: three\n").unwrap();
    let mut folders = Folders::of_installation(root.path()).unwrap();
    folders.add_extra_paths(at("first.yaml")).unwrap();
    folders.add_model_folder("vae", at("two"));
    folders.add_extra_paths(at("second.yaml")).unwrap();
    let other = folders.clone();
    assert_eq!(of(&folders), ["models/vae", "one", "two", "three", "output/vae"]);
    fs::write(at("first.yaml"), "a:\n  vae: |\n    uno\n    three\n").unwrap();
    fs::write(at("extra_model_paths.yaml"), "a:\n  vae: zero\n").unwrap();
    let right = ["models/vae", "zero", "uno", "three", "two", "output/vae"];
    assert_eq!(of(&folders), right, "in the order in which they were named, each list in its place");
    assert_eq!(of(&other), right, "a copy looks for itself");
    for broken in ["a:\n  vae: 7\n", "[", "\u{0}"] {
        fs::write(at("first.yaml"), broken).unwrap();
        assert_eq!(of(&folders), right, "{broken:?}");
    }
    fs::remove_file(at("first.yaml")).unwrap();
    assert_eq!(of(&folders), right, "a list that was asked for by name and is gone is broken, too");
    fs::write(at("first.yaml"), "").unwrap();
    assert_eq!(of(&folders), ["models/vae", "zero", "two", "three", "output/vae"]);
    fs::remove_file(at("extra_model_paths.yaml")).unwrap();
    assert_eq!(of(&folders), ["models/vae", "two", "three", "output/vae"], "one that need not be there names none");
}

#[test]
fn a_missing_model_names_the_nearest_one_and_the_folders() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), "models/checkpoints/fluent-tiny.safetensors");
    let error = Folders::under(root.path()).model("checkpoints", "fluent-tinny.safetensor").unwrap_err().to_string();
    assert!(error.contains("did you mean `fluent-tiny.safetensors`?"), "{error}");
    assert!(error.contains("models/checkpoints"), "{error}");
}

#[test]
fn a_model_name_cannot_climb_out_of_its_folder() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), "secret.safetensors");
    touch(root.path(), "models/secret.safetensors");
    let folders = Folders::under(root.path());
    for name in ["../secret.safetensors", "../../secret.safetensors", "x/../../secret.safetensors"] {
        assert!(folders.model("checkpoints", name).is_err(), "{name}");
    }
    let absolute = root.path().join("secret.safetensors");
    assert!(folders.model("checkpoints", absolute.to_str().unwrap()).is_err());
}

#[test]
fn an_image_name_stays_inside_its_folder_and_may_name_the_place() {
    let root = tempfile::tempdir().unwrap();
    for name in ["input/a.png", "output/sub/b.png", "temp/c.png", "secret.png"] {
        touch(root.path(), name);
    }
    let folders = Folders::under(root.path());
    assert_eq!(folders.images(DirKind::Input), ["a.png"]);
    for good in ["a.png", "a.png [input]", "sub/b.png [output]", "c.png [temp]"] {
        assert!(folders.image(good, DirKind::Input).is_ok(), "{good}");
    }
    assert!(matches!(folders.image("../secret.png", DirKind::Input), Err(FileError::Outside { .. })));
    assert!(matches!(folders.image("", DirKind::Input), Err(FileError::Outside { .. })));
    let missing = folders.image("b.png", DirKind::Input).unwrap_err();
    assert!(missing.to_string().starts_with("Invalid image file: b.png"));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_input_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), "secret.png");
    fs::create_dir_all(root.path().join("input")).unwrap();
    std::os::unix::fs::symlink(root.path().join("secret.png"), root.path().join("input/link.png")).unwrap();
    let folders = Folders::under(root.path());
    assert!(matches!(folders.image("link.png", DirKind::Input), Err(FileError::Outside { .. })));
}

#[test]
fn a_file_of_extra_paths_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a/one.pt", "b/two.pt", "c/three.pt", "models/loras/zero.pt"] {
        touch(root.path(), name);
    }
    let (default, named) = (root.path().join("extra_model_paths.yaml"), root.path().join("named.yaml"));
    fs::write(&named, "x:\n  loras: a\n").unwrap();
    let mut folders = Folders::of_installation(root.path()).unwrap();
    folders.add_extra_paths(&named).unwrap();
    let copy = folders.clone();
    let loras = |expected: &[&str]| assert_eq!([folders.models("loras"), copy.models("loras")], [expected, expected]);
    loras(&["one.pt", "zero.pt"]);
    fs::write(&default, "y:\n  loras: b\n  LLM: c\n").unwrap();
    loras(&["one.pt", "two.pt", "zero.pt"]);
    assert!(folders.kinds().any(|kind| kind == "LLM"), "a new kind is known");
    fs::write(&named, "x:\n  loras: [\n").unwrap();
    loras(&["one.pt", "two.pt", "zero.pt"]);
    fs::write(&named, "x:\n  base_path: .\n  is_default: true\n  loras: c\n").unwrap();
    loras(&["three.pt", "two.pt", "zero.pt"]);
    assert_eq!(folders.model_folders("loras")[0], root.path().canonicalize().unwrap().join("c"));
    fs::remove_file(&named).unwrap();
    loras(&["three.pt", "two.pt", "zero.pt"]);
    fs::remove_file(&default).unwrap();
    loras(&["three.pt", "zero.pt"]);
    assert!(!folders.kinds().any(|kind| kind == "LLM"));
}

#[test]
fn numbers_go_on_after_the_largest_and_gaps_stay() {
    let root = tempfile::tempdir().unwrap();
    for name in ["output/kiln_00001_.png", "output/kiln_00041_.png", "output/kilns_00099_.png", "output/kiln_x_.png"] {
        touch(root.path(), name);
    }
    let folders = Folders::under(root.path());
    let mut path = SavePath::new(&folders, DirKind::Output, "kiln", (8, 8), NOON).unwrap();
    assert_eq!(path.counter, 42);
    assert_eq!(path.write(0, ".png", b"one").unwrap().filename, "kiln_00042_.png");
    // Somebody else takes the next number meanwhile.
    touch(root.path(), "output/kiln_00043_.png");
    assert_eq!(path.write(1, ".png", b"two").unwrap().filename, "kiln_00044_.png");
    assert_eq!(fs::read(root.path().join("output/kiln_00044_.png")).unwrap(), b"two");
}

#[test]
fn a_prefix_may_name_a_subfolder_a_date_and_the_number_in_the_batch() {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders::under(root.path());
    let prefix = "%date:yyyy-MM-dd%/%width%x%height%/cat_%batch_num%";
    let mut path = SavePath::new(&folders, DirKind::Output, prefix, (64, 32), NOON).unwrap();
    let saved = path.write(3, ".png", b"x").unwrap();
    assert_eq!((saved.subfolder.as_str(), saved.filename.as_str()), ("2026-11-21/64x32", "cat_3_00001_.png"));
    assert!(saved.path.is_file());
}

#[test]
fn a_prefix_cannot_lead_out_of_the_output_folder() {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders::under(root.path());
    for prefix in ["../x", "/etc/x", "a/../../x"] {
        let refused = SavePath::new(&folders, DirKind::Output, prefix, (8, 8), NOON);
        assert!(matches!(refused, Err(FileError::Outside { .. })), "{prefix}");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_a_clear_error() {
    let root = tempfile::tempdir().unwrap();
    touch(root.path(), "output");
    let folders = Folders::under(root.path());
    assert!(folders.check_output_writable().unwrap_err().to_string().contains("output"));
    let error = SavePath::new(&folders, DirKind::Output, "a/b", (8, 8), NOON).unwrap_err().to_string();
    assert!(error.starts_with("cannot create the folder"), "{error}");
}

#[test]
fn writing_never_replaces_a_file_and_leaves_nothing_else_behind() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.png");
    assert!(write_new(&path, b"first").unwrap());
    assert!(!write_new(&path, b"second").unwrap());
    assert!(write_new(&root.path().join("no such folder/a.png"), b"x").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

fn checkers(colour: Colour) -> PngImage {
    let pixels = (0..6 * 4 * colour.channels()).map(|i| (i * 37 % 256) as u8).collect();
    let texts = IndexMap::from([("prompt".to_owned(), "{\"3\": {}}".to_owned()), ("workflow".to_owned(), "{}".into())]);
    PngImage { width: 6, height: 4, colour, pixels, texts }
}

#[test]
fn a_png_keeps_its_pixels_and_texts() {
    let root = tempfile::tempdir().unwrap();
    for (i, colour) in [Colour::Grey, Colour::Rgb, Colour::Rgba].into_iter().enumerate() {
        let image = checkers(colour);
        let path = root.path().join(format!("{i}.png"));
        assert!(write_new(&path, &write_png(&image, 4).unwrap()).unwrap());
        assert_eq!(read_png(&path).unwrap(), image);
    }
}

#[test]
fn texts_stand_before_the_pixels() {
    let bytes = write_png(&checkers(Colour::Rgb), 4).unwrap();
    let at = |what: &[u8]| bytes.windows(what.len()).position(|w| w == what).unwrap();
    assert!(at(b"tEXtprompt") < at(b"tEXtworkflow") && at(b"tEXtworkflow") < at(b"IDAT"));
}

#[test]
fn a_png_with_opacity_gives_a_mask_that_is_one_where_it_is_transparent() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.png");
    let pixels = vec![255, 0, 51, 255, 0, 255, 0, 0];
    let image = PngImage { width: 2, height: 1, colour: Colour::Rgba, pixels, texts: IndexMap::new() };
    fs::write(&path, write_png(&image, 1).unwrap()).unwrap();
    let frames = load_image(&path).unwrap();
    assert_eq!((frames.count, frames.width, frames.height), (1, 2, 1));
    assert_eq!(frames.rgb, [1.0, 0.0, 0.2, 0.0, 1.0, 0.0]);
    assert_eq!(frames.mask.unwrap(), [0.0, 1.0]);
}

#[test]
fn sixteen_bits_are_read_at_full_depth() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("deep.png");
    image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![65535u16, 257]).unwrap().save(&path).unwrap();
    let frames = load_image(&path).unwrap();
    assert_eq!(frames.rgb, [1.0, 1.0, 1.0, 1.0 / 255.0, 1.0 / 255.0, 1.0 / 255.0]);
    assert!(frames.mask.is_none());
}

#[test]
fn every_frame_of_an_animation_becomes_an_image() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.gif");
    let mut encoder = image::codecs::gif::GifEncoder::new(fs::File::create(&path).unwrap());
    for value in [0u8, 255] {
        let frame = image::RgbaImage::from_pixel(4, 2, image::Rgba([value, value, value, 255]));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let frames = load_image(&path).unwrap();
    assert_eq!((frames.count, frames.width, frames.height), (2, 4, 2));
    assert_eq!((frames.rgb[0], frames.rgb[24]), (0.0, 1.0));
    assert!(frames.mask.is_none());
}

#[test]
fn a_photo_is_turned_as_its_exif_says() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("turned.jpg");
    let mut jpeg = Vec::new();
    let image = image::RgbImage::from_fn(16, 8, |x, _| if x < 8 { image::Rgb([255; 3]) } else { image::Rgb([0; 3]) });
    image.write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    // After the start marker: an APP1 segment with one EXIF entry, orientation 6 (turn clockwise).
    let exif: &[u8] = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut turned = jpeg[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend(((exif.len() + 2) as u16).to_be_bytes());
    turned.extend(exif);
    turned.extend(&jpeg[2..]);
    fs::write(&path, turned).unwrap();
    let frames = load_image(&path).unwrap();
    assert_eq!((frames.width, frames.height), (8, 16));
    assert!(frames.rgb[0] > 0.9 && frames.rgb[frames.rgb.len() - 1] < 0.1);
    let frames = load_image_as_stored(&path).unwrap();
    assert_eq!((frames.width, frames.height), (16, 8));
    assert!(frames.rgb[..3].iter().all(|v| *v > 0.9) && frames.rgb[15 * 3] < 0.1);
}

#[test]
fn what_is_no_image_is_named_so() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.png");
    fs::write(&path, b"not an image at all").unwrap();
    let error = load_image(&path).unwrap_err().to_string();
    assert!(error.contains("a.png") && error.contains("no image that Kiln can read"), "{error}");
    let whole = write_png(&checkers(Colour::Rgb), 4).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(load_image(&path), Err(FileError::Image { .. })));
}
