//! Data sets from folders of images and, beside each, a text of the same name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, List, Node, NodeError, json};

use crate::files::{DirKind, FileError, load_image_as_stored};
use crate::payload::Image;
use crate::runtime::environment::{CxExt, Environment};

/// Endings of images that data sets have.
const ENDINGS: &[&str] = &["png", "jpg", "jpeg", "webp"];
/// The most images a list may have, repetitions counted.
const MOST: usize = 1 << 20;

/// Reads all images of a folder, by name. They stand as in their files, whatever their EXIF
/// says; of an animation the first image is read.
#[derive(Node)]
#[node(
    display_name = "Load Image Dataset from Folder",
    category = "dataset",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct LoadImageDataSetFromFolder {
    /// A folder of the input folder.
    #[input(choices = input_folders, options = [], option("multiselect" = false))]
    folder: String,
}

impl Execute for LoadImageDataSetFromFolder {
    type Output = List<Image>;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<List<Image>, NodeError> {
        let folder = cx.environment()?.folders().folder(&self.folder, DirKind::Input)?;
        let files: Vec<PathBuf> = entries(&folder)?.into_iter().filter(|path| is_image(path)).collect();
        Ok(List(images(cx, &folder, &files)?))
    }
}

/// Reads all images of a folder and their texts, by name: for `a.png` the text is `a.txt`, or empty where there is none.
/// Images of a folder in it whose name begins with a number and `_` come as many times.
#[derive(Node)]
#[node(
    display_name = "Load Image and Text Dataset from Folder",
    category = "dataset",
    module = "comfy_extras.nodes_dataset",
    outputs("images", "texts"),
    experimental
)]
pub struct LoadImageTextDataSetFromFolder {
    /// A folder of the input folder.
    #[input(choices = input_folders, options = [], option("multiselect" = false))]
    folder: String,
}

impl Execute for LoadImageTextDataSetFromFolder {
    type Output = (List<Image>, List<String>);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        fingerprint(known)
    }

    fn execute(self, cx: &mut Cx) -> Result<(List<Image>, List<String>), NodeError> {
        let folder = cx.environment()?.folders().folder(&self.folder, DirKind::Input)?;
        let files = repeated_files(&folder)?;
        let images = images(cx, &folder, &files)?;
        Ok((List(images), files.iter().map(|file| caption(file)).collect::<Result<_, _>>()?))
    }
}

fn input_folders(host: &Host) -> Vec<String> {
    host.get::<Environment>().map(|environment| environment.folders().subfolders(DirKind::Input)).unwrap_or_default()
}

/// What lies in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let refused = |e| FileError::Io { doing: "list the folder", path: folder.to_path_buf(), source: e };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).map_err(refused)?.flatten().map(|e| e.path()).collect();
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) && path.is_file()
}

/// The images of a folder and of those in it, the latter as many times as their folder's name says.
fn repeated_files(folder: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if is_image(&path) {
            files.push(path);
        } else if path.is_dir() {
            let inside: Vec<PathBuf> = entries(&path)?.into_iter().filter(|path| is_image(path)).collect();
            let times = repetitions(&path);
            let total = inside.len().saturating_mul(times).saturating_add(files.len());
            if total > MOST {
                return Err(NodeError::new(format!(
                    "`{}` makes a list of {total} images, more than {MOST}: the number before `_` says how many times \
                     its images come",
                    path.display()
                )));
            }
            files.extend((0..times).flat_map(|_| inside.iter().cloned()));
        }
    }
    Ok(files)
}

/// The number that a folder's name begins with, before `_`; 1 without one.
fn repetitions(folder: &Path) -> usize {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let number = name.split('_').next().unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    if is_number { number.parse().unwrap_or(usize::MAX) } else { 1 }
}

/// Each image, read once however often it comes.
fn images(cx: &Cx, folder: &Path, files: &[PathBuf]) -> Result<Vec<Image>, NodeError> {
    if files.is_empty() {
        return Err(NodeError::new(format!("`{}` holds no images ({})", folder.display(), ENDINGS.join(", "))));
    }
    let device = cx.environment()?.device().clone();
    let mut known: HashMap<&Path, Image> = HashMap::new();
    let mut found = Vec::with_capacity(files.len());
    for file in files {
        cx.checkpoint()?;
        if let Some(image) = known.get(file.as_path()) {
            found.push(image.clone());
            continue;
        }
        let mut frames = load_image_as_stored(file)?;
        frames.rgb.truncate(frames.width * frames.height * 3);
        let image = Image::from_values(frames.rgb, [1, frames.height, frames.width, 3], &device)?;
        known.insert(file, image.clone());
        found.push(image);
    }
    Ok(found)
}

fn caption(image: &Path) -> Result<String, NodeError> {
    let path = image.with_extension("txt");
    if !path.exists() {
        return Ok(String::new());
    }
    let text = std::fs::read_to_string(&path).map_err(|e| FileError::Io { doing: "read", path, source: e })?;
    Ok(text.trim_matches(crate::comfy::text::is_blank).to_owned())
}

/// What the folder holds: names, sizes and times of its files and of those in the folders below it.
fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
    let Some(name) = known.get_as::<String>("folder") else { return Ok(Fingerprint::Stable) };
    let folder = known.host::<Environment>()?.folders().folder(&name, DirKind::Input)?;
    let mut hash = blake3::Hasher::new();
    for path in entries(&folder)? {
        let inside = if path.is_dir() { entries(&path)? } else { Vec::new() };
        for path in std::iter::once(path).chain(inside) {
            let about = path.metadata()?;
            hash.update(format!("{}\0{}\0{:?}\0", path.display(), about.len(), about.modified().ok()).as_bytes());
        }
    }
    Ok(Fingerprint::Value(json!(hash.finalize().to_hex().to_string())))
}
