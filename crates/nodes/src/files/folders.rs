//! The folders of an installation: models by kind, and input, output and temp.
//!
//! Names that come from a graph are looked up here and only here, so that no name can lead out of its folder.
//! Knows nothing of what the files contain.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::error::FileError;
use super::model_dirs::{ModelDirs, canonical_kind};
use super::numbers::Numbers;

/// The kinds of model, by ComfyUI's folder names and in its order, with the sub-folders of `models/` they live in.
pub const MODEL_FOLDERS: &[(&str, &[&str])] = &[
    ("checkpoints", &["checkpoints"]),
    ("configs", &["configs"]),
    ("loras", &["loras"]),
    ("vae", &["vae"]),
    ("text_encoders", &["text_encoders", "clip"]),
    ("diffusion_models", &["unet", "diffusion_models"]),
    ("clip_vision", &["clip_vision"]),
    ("style_models", &["style_models"]),
    ("embeddings", &["embeddings"]),
    ("diffusers", &["diffusers"]),
    ("vae_approx", &["vae_approx"]),
    ("controlnet", &["controlnet", "t2i_adapter"]),
    ("gligen", &["gligen"]),
    ("upscale_models", &["upscale_models"]),
    ("latent_upscale_models", &["latent_upscale_models"]),
    ("hypernetworks", &["hypernetworks"]),
    ("photomaker", &["photomaker"]),
    ("classifiers", &["classifiers"]),
    ("model_patches", &["model_patches"]),
    ("audio_encoders", &["audio_encoders"]),
    // Of the packs whose nodes Kiln has.
    ("yolo_world", &["yolo_world"]),
    ("efficient_sam", &["efficient_sam"]),
];

/// File name endings that are listed as models: ComfyUI's, and GGUF's.
const MODEL_ENDINGS: &[&str] = &["safetensors", "sft", "gguf", "ckpt", "pt", "pt2", "bin", "pth", "pkl"];
/// File name endings of the kind `configs`.
const CONFIG_ENDINGS: &[&str] = &["yaml"];
/// File name endings that Kiln lists as images.
const IMAGE_ENDINGS: &[&str] = &[
    "png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "tga", "ico", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k",
    "jpx",
];
/// Kinds whose files may also lie under the output folder, where the save nodes put them.
const ALSO_IN_OUTPUT: &[(&str, &str)] = &[
    ("checkpoints", "checkpoints"),
    ("text_encoders", "clip"),
    ("vae", "vae"),
    ("diffusion_models", "diffusion_models"),
    ("loras", "loras"),
];
/// Whatever its ending, a file of a kind that ComfyUI doesn't know is listed.
const ANY_ENDING: &[&str] = &[];
/// The file beside `models/` that names more folders.
const EXTRA_PATHS: &str = "extra_model_paths.yaml";
/// How deep folders are listed; a link that leads back to its parent ends here.
const MAX_DEPTH: usize = 16;

/// One of the three folders that images travel through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DirKind {
    /// Images that graphs read.
    Input,
    /// Images that graphs write.
    Output,
    /// Previews, emptied by the host.
    Temp,
}

impl DirKind {
    /// ComfyUI's word for it: `input`, `output`, `temp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Temp => "temp",
        }
    }

    /// The place of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Input, Self::Output, Self::Temp].into_iter().find(|p| p.name() == name)
    }
}

/// Where everything lies.
#[derive(Debug, Clone)]
pub struct Folders {
    models: ModelDirs,
    input: PathBuf,
    output: PathBuf,
    temp: PathBuf,
    /// Of the files in the temp folder.
    temp_numbers: Numbers,
}

impl Folders {
    /// The layout of a ComfyUI installation: `models/`, `input/`, `output/` and `temp/` under `root`.
    /// Nothing is created or read; missing folders are simply empty.
    pub fn under(root: impl AsRef<Path>) -> Self {
        let root = root.as_ref();
        let mut models = ModelDirs::default();
        for (kind, _) in MODEL_FOLDERS {
            models.add_kind(kind);
        }
        let mut folders = Self {
            models,
            input: root.join("input"),
            output: root.join("output"),
            temp: root.join("temp"),
            temp_numbers: Numbers::default(),
        };
        folders.add_models_root(root.join("models"));
        folders
    }

    /// [`Self::under`] `root`, with the folders that `extra_model_paths.yaml` in `root` names, now or as soon as there is one.
    ///
    /// # Errors
    /// As [`Self::add_extra_paths`].
    pub fn of_installation(root: impl AsRef<Path>) -> Result<Self, FileError> {
        let extra = root.as_ref().join(EXTRA_PATHS);
        let mut folders = Self::under(root);
        folders.models.add_extra(&extra, true)?;
        Ok(folders)
    }

    /// Looks for models also in the folders that the YAML file `file` names, by kind, in ComfyUI's form:
    /// ```yaml
    /// another_program:
    ///     base_path: ~/stable-diffusion
    ///     is_default: true
    ///     checkpoints: models/Stable-diffusion
    ///     loras: |
    ///         models/Lora
    ///         models/LyCORIS
    /// ```
    /// `~` and variables of the environment are expanded in `base_path`; what is relative then, starts at the folder of
    /// `file`. `is_default` puts each folder of its section before all that are known. Kinds that ComfyUI doesn't know are
    /// kept, and all their files are listed.
    ///
    /// The file is read again when it has changed; where it can't be used any more, the folders stay, with a warning.
    ///
    /// # Errors
    /// [`FileError::Io`] or [`FileError::ExtraPaths`], with file and line; no folder is added then.
    pub fn add_extra_paths(&mut self, file: impl AsRef<Path>) -> Result<(), FileError> {
        self.models.add_extra(file.as_ref(), false)
    }

    /// Uses another folder for `dir`.
    pub fn with_dir(mut self, dir: DirKind, folder: impl Into<PathBuf>) -> Self {
        let slot = match dir {
            DirKind::Input => &mut self.input,
            DirKind::Output => &mut self.output,
            DirKind::Temp => &mut self.temp,
        };
        *slot = folder.into();
        self
    }

    /// The folder of `dir`.
    pub fn dir(&self, dir: DirKind) -> &Path {
        match dir {
            DirKind::Input => &self.input,
            DirKind::Output => &self.output,
            DirKind::Temp => &self.temp,
        }
    }

    /// Where numbers of files in the folder of `dir` are remembered.
    pub(super) fn numbers(&self, dir: DirKind) -> Option<&Numbers> {
        (dir == DirKind::Temp).then_some(&self.temp_numbers)
    }

    /// Looks for every kind of model also under `root`, in ComfyUI's sub-folders.
    pub fn add_models_root(&mut self, root: impl AsRef<Path>) {
        for (kind, subfolders) in MODEL_FOLDERS {
            for sub in *subfolders {
                self.add_model_folder(kind, root.as_ref().join(sub));
            }
        }
    }

    /// Looks for models of `kind` also in `folder`. `unet` and `clip` mean `diffusion_models` and `text_encoders`.
    pub fn add_model_folder(&mut self, kind: &str, folder: impl Into<PathBuf>) {
        self.models.add_folder(kind, folder.into());
    }

    /// Shows the single file `path` as a model of `kind`, under its own file name. A file of that name in one of the
    /// folders comes first.
    pub fn add_model_file(&mut self, kind: &str, path: impl Into<PathBuf>) {
        let path = path.into();
        let Some(name) = path.file_name().map(|n| n.to_string_lossy().into_owned()) else { return };
        self.models.add_file(kind, name, path);
    }

    /// Shows the models that come with Kiln: `fluent-tiny.safetensors` as a checkpoint, the `realesr*` files as
    /// upscalers. `assets` is the folder that holds them.
    pub fn with_bundled(mut self, assets: impl AsRef<Path>) -> Self {
        for file in list_files(assets.as_ref(), MODEL_ENDINGS, 1) {
            let kind = if file.starts_with("realesr") { "upscale_models" } else { "checkpoints" };
            self.add_model_file(kind, assets.as_ref().join(file));
        }
        self
    }

    /// The kinds of model, in ComfyUI's order, then those added by name.
    pub fn kinds(&self) -> impl Iterator<Item = String> {
        self.models.kinds().keys().cloned().collect::<Vec<_>>().into_iter()
    }

    /// The folders searched for models of `kind`.
    pub fn model_folders(&self, kind: &str) -> Vec<PathBuf> {
        let kind = canonical_kind(kind);
        let mut folders = self.models.kinds().get(kind).map(|dir| dir.folders.clone()).unwrap_or_default();
        folders.extend(ALSO_IN_OUTPUT.iter().filter(|(k, _)| *k == kind).map(|(_, sub)| self.output.join(sub)));
        folders
    }

    /// Names of all models of `kind`: relative to their folder, sorted, each once.
    pub fn models(&self, kind: &str) -> Vec<String> {
        let kind = canonical_kind(kind);
        let mut names: BTreeSet<String> =
            self.model_folders(kind).iter().flat_map(|f| list_files(f, endings(kind), MAX_DEPTH)).collect();
        if let Some(dir) = self.models.kinds().get(kind) {
            names.extend(dir.files.iter().filter(|(_, path)| path.is_file()).map(|(name, _)| name.clone()));
        }
        names.into_iter().collect()
    }

    /// The file of model `name`.
    ///
    /// # Errors
    /// [`FileError::NoSuchModel`], with the most similar name that exists. `..` never leads out of a folder.
    pub fn model(&self, kind: &str, name: &str) -> Result<PathBuf, FileError> {
        let inside = inside_only(name);
        let folders = self.model_folders(kind);
        if let Some(found) = folders.iter().map(|f| f.join(&inside)).find(|p| p.is_file()) {
            return Ok(found);
        }
        if let Some(file) = self.models.kinds().get(canonical_kind(kind)).and_then(|dir| dir.files.get(name))
            && file.is_file()
        {
            return Ok(file.clone());
        }
        Err(FileError::NoSuchModel {
            category: canonical_kind(kind).to_owned(),
            name: name.to_owned(),
            nearest: kiln_graph::nearest(name, self.models(kind).iter().map(String::as_str)).map(str::to_owned),
            searched: folders,
        })
    }

    /// Images that lie directly in the folder of `dir`, sorted.
    pub fn images(&self, dir: DirKind) -> Vec<String> {
        self.files(dir, IMAGE_ENDINGS)
    }

    /// Files with one of these endings that lie directly in the folder of `dir`, sorted.
    pub fn files(&self, dir: DirKind, endings: &[&str]) -> Vec<String> {
        list_files(self.dir(dir), endings, 1)
    }

    /// The file that `name` means, where `name` may end in ` [input]`, ` [output]` or ` [temp]`, and stands for
    /// `default` without one. The file must exist.
    ///
    /// # Errors
    /// [`FileError::Outside`] for an absolute name, for `..`, and for a link that leads out of the folder;
    /// [`FileError::NoSuchInput`] if there is no such file.
    pub fn image(&self, name: &str, default: DirKind) -> Result<PathBuf, FileError> {
        let (bare, dir) = annotated(name).unwrap_or((name, default));
        let folder = self.dir(dir);
        let outside = || FileError::Outside { name: name.to_owned(), folder: folder.to_path_buf() };
        if bare.is_empty() || !is_plain_relative(bare) {
            return Err(outside());
        }
        let path = folder.join(bare);
        if !path.is_file() {
            return Err(FileError::NoSuchInput { name: name.to_owned(), path });
        }
        if really_inside(&path, folder) { Ok(path) } else { Err(outside()) }
    }

    /// Folders below the folder of `dir`, relative with `/` between them, sorted.
    pub fn subfolders(&self, dir: DirKind) -> Vec<String> {
        let root = self.dir(dir);
        let (mut found, mut todo) = (Vec::new(), vec![(root.to_path_buf(), MAX_DEPTH)]);
        while let Some((folder, depth)) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for path in entries.flatten().map(|e| e.path()).filter(|path| path.is_dir() && !path.is_symlink()) {
                if let Ok(relative) = path.strip_prefix(root) {
                    found.push(relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"));
                }
                if depth > 1 {
                    todo.push((path, depth - 1));
                }
            }
        }
        found.sort();
        found
    }

    /// Where a folder in that of `dir` is or would be. Creates nothing.
    ///
    /// # Errors
    /// [`FileError::Outside`] for an absolute name and for `..`.
    pub fn inside(&self, name: &str, dir: DirKind) -> Result<PathBuf, FileError> {
        let root = self.dir(dir);
        if is_plain_relative(name) { Ok(root.join(name)) } else { Err(outside(name, root)) }
    }

    /// A folder in that of `dir`, which exists.
    ///
    /// # Errors
    /// As [`inside`](Self::inside), also for a link that leads out of the folder; [`FileError::NoSuchInput`] if there is no
    /// such folder.
    pub fn folder(&self, name: &str, dir: DirKind) -> Result<PathBuf, FileError> {
        let path = self.inside(name, dir)?;
        if !path.is_dir() {
            return Err(FileError::NoSuchInput { name: name.to_owned(), path });
        }
        if really_inside(&path, self.dir(dir)) { Ok(path) } else { Err(outside(name, self.dir(dir))) }
    }

    /// A folder in that of `dir`, created unless it is there.
    ///
    /// # Errors
    /// As [`inside`](Self::inside), also for a link that leads out of the folder; [`FileError::Io`] if it can't be created.
    pub fn made(&self, name: &str, dir: DirKind) -> Result<PathBuf, FileError> {
        let path = self.inside(name, dir)?;
        std::fs::create_dir_all(&path).map_err(|e| FileError::io("create the folder", &path, e))?;
        if really_inside(&path, self.dir(dir)) { Ok(path) } else { Err(outside(name, self.dir(dir))) }
    }

    /// Whether images can be written to the output folder: creates the folder and tries a file in it.
    ///
    /// # Errors
    /// [`FileError::Io`] with the system's reason.
    pub fn check_output_writable(&self) -> Result<(), FileError> {
        let folder = &self.output;
        std::fs::create_dir_all(folder).map_err(|e| FileError::io("create the output folder", folder, e))?;
        let probe = folder.join(format!(".kiln-write-test-{}", std::process::id()));
        std::fs::write(&probe, b"").map_err(|e| FileError::io("write into the output folder", folder, e))?;
        std::fs::remove_file(&probe).map_err(|e| FileError::io("write into the output folder", folder, e))
    }
}

fn endings(kind: &str) -> &'static [&'static str] {
    if kind == "configs" {
        return CONFIG_ENDINGS;
    }
    if MODEL_FOLDERS.iter().any(|(known, _)| *known == kind) { MODEL_ENDINGS } else { ANY_ENDING }
}

fn outside(name: &str, root: &Path) -> FileError {
    FileError::Outside { name: name.to_owned(), folder: root.to_path_buf() }
}

/// Splits a trailing ` [input]`, ` [output]` or ` [temp]` off.
fn annotated(name: &str) -> Option<(&str, DirKind)> {
    let (bare, dir) = name.strip_suffix(']')?.rsplit_once('[')?;
    Some((bare.trim_end(), DirKind::named(dir)?))
}

/// `name` as a path that stays inside whatever it is joined to: `..` climbs no higher than the folder.
fn inside_only(name: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(p) => path.push(p),
            Component::ParentDir => _ = path.pop(),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path
}

fn is_plain_relative(name: &str) -> bool {
    Path::new(name).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
}

/// Whether `path`, links resolved, lies in `folder`.
pub(super) fn really_inside(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        _ => false,
    }
}

/// Files below `folder` with one of `endings`, or all where none is given; relative, sorted; follows links, skips `.git`.
fn list_files(folder: &Path, endings: &[&str], depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![(folder.to_path_buf(), depth)];
    while let Some((dir, depth)) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for path in entries.flatten().map(|e| e.path()) {
            if path.is_dir() {
                if depth > 1 && path.file_name().is_some_and(|n| n != ".git") {
                    todo.push((path, depth - 1));
                }
            } else if has_ending(&path, endings)
                && let Ok(relative) = path.strip_prefix(folder)
            {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    endings.is_empty()
        || path.extension().and_then(|e| e.to_str()).is_some_and(|e| endings.contains(&e.to_ascii_lowercase().as_str()))
}
