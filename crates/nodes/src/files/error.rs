//! What can go wrong with a file: always with its path, what was found, and what to do about it.

use std::path::{Path, PathBuf};

/// An error of a file or folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused: missing file, no permission, full disk.
    #[error("cannot {doing} `{path}`: {source}")]
    Io {
        /// What was tried: `read`, `write`, `create the folder`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system reported.
        source: std::io::Error,
    },
    /// A model name that no folder of its kind holds.
    #[error("{category} has no `{name}`{}; looked in {}", suggestion(.nearest.as_deref()), places(.searched))]
    NoSuchModel {
        /// The kind of model, as ComfyUI names its folder: `checkpoints`, `loras`.
        category: String,
        /// The name asked for.
        name: String,
        /// The most similar name that exists.
        nearest: Option<String>,
        /// The folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// A file of extra model paths that can't be used.
    #[error("`{}`{}: {detail}", path.display(), in_line(*.line))]
    ExtraPaths {
        /// The YAML file.
        path: PathBuf,
        /// The line, from 1, where there is one.
        line: Option<u64>,
        /// What is wrong there.
        detail: String,
    },
    /// An input image that is not there.
    #[error("Invalid image file: {name} (looked for `{path}`)")]
    NoSuchInput {
        /// The name asked for.
        name: String,
        /// Where it would have been.
        path: PathBuf,
    },
    /// A name that leads out of the folder it is looked up in.
    #[error("`{name}` leads outside of `{folder}`; use a path inside that folder")]
    Outside {
        /// The name as given.
        name: String,
        /// The folder it must stay in.
        folder: PathBuf,
    },
    /// An image that cannot be decoded.
    #[error(
        "`{path}` is no image that Kiln can read (png, jpeg, webp, bmp, gif, tiff, tga, ico, ppm, jpeg 2000): {detail}"
    )]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        detail: String,
    },
    /// An image that cannot be encoded.
    #[error("cannot encode a {width}x{height} image: {detail}")]
    Encode {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What the encoder said.
        detail: String,
    },
    /// Every file number of a prefix is taken.
    #[error("no free file number left for `{name}` in `{folder}`")]
    NumbersUsedUp {
        /// The file name prefix.
        name: String,
        /// The folder.
        folder: PathBuf,
    },
}

impl FileError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io { doing, path: path.to_path_buf(), source }
    }
}

fn suggestion(name: Option<&str>) -> String {
    name.map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default()
}

fn in_line(line: Option<u64>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

fn places(folders: &[PathBuf]) -> String {
    if folders.is_empty() {
        return "no folder (none is configured)".to_owned();
    }
    folders.iter().map(|f| format!("`{}`", f.display())).collect::<Vec<_>>().join(", ")
}
