//! Which file of the model folders a name means, and what to do about files that can't be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::NodeError;
use kiln_memory::Budget;
use kiln_models::detector::{Detector, Version};
use kiln_models::segmenter::Segmenter;
use kiln_models::{ModelError, clip::TextModel};

use crate::files::Folders;
use crate::payload::DetectorModel;
use crate::runtime::environment::Environment;

pub(super) const DETECTORS: &str = "yolo_world";
pub(super) const SEGMENTERS: &str = "efficient_sam";

/// How a detector's training file becomes one that can be read; run once, with the packages that made it.
const CONVERT_DETECTOR: &str = "\
import torch; from safetensors.torch import save_file; from ultralytics import YOLO
from transformers import CLIPTextModelWithProjection as Clip
plain = lambda d: {k: v.detach().float().contiguous().clone() for k, v in d.items() if v.is_floating_point()}
out = plain(YOLO(\"FILE.pt\").model.state_dict()) | plain(Clip.from_pretrained(\"openai/clip-vit-base-patch32\").state_dict())
save_file({k: v for k, v in out.items() if k.startswith((\"model.\", \"text_\"))}, \"FILE.safetensors\")";

/// The same for a segmenter's.
const CONVERT_SEGMENTER: &str = "\
import torch; from safetensors.torch import save_file
try: d = torch.jit.load(\"FILE.jit\", map_location=\"cpu\").state_dict()
except RuntimeError: d = torch.load(\"FILE.pt\", map_location=\"cpu\", weights_only=True)[\"model\"]
save_file({k: v.detach().float().contiguous().clone() for k, v in d.items() if v.is_floating_point()}, \"FILE.safetensors\")";

/// The file that a name like `yolo_world/v2-l` means: the file of that name, then any of the folder that holds it, then, for a name
/// without a version, the second version of that size.
pub(super) fn detector(folders: &Folders, name: &str) -> Result<PathBuf, NodeError> {
    let size = name.strip_prefix("yolo_world/").unwrap_or(name);
    if let Ok(file) = folders.model(DETECTORS, &format!("{size}.safetensors")) {
        return Ok(file);
    }
    let (version, letter) = match size.strip_prefix("v2-") {
        Some(letter) => (Version::V2, letter),
        None => (Version::V1, size),
    };
    let files: Vec<PathBuf> =
        folders.models(DETECTORS).iter().filter_map(|f| folders.model(DETECTORS, f).ok()).collect();
    let holds = |version: Version| {
        let fits =
            |file: &&PathBuf| Detector::peek(file).is_some_and(|c| c.version == version && c.size() == Some(letter));
        files.iter().find(fits).cloned()
    };
    if let Some(file) = holds(version) {
        return Ok(file);
    }
    if version == Version::V1
        && let Some(file) = holds(Version::V2)
    {
        tracing::warn!(name, file = %file.display(), "there is no first version of this size; the second one serves");
        return Ok(file);
    }
    let wanted = format!("{name}: a YOLO-World detector, version {}, size {letter}", version as u8 + 1);
    Err(missing(folders, DETECTORS, &wanted, CONVERT_DETECTOR))
}

/// The segmenter of the folder; the wider one where there are several, which is what the pack opens.
pub(super) fn segmenter(folders: &Folders) -> Result<PathBuf, NodeError> {
    let files = folders.models(SEGMENTERS).into_iter().filter_map(|file| folders.model(SEGMENTERS, &file).ok());
    let found = files.filter_map(|file| Some((Segmenter::peek(&file)?.width, file)));
    let widest = found.reduce(|best, other| if other.0 > best.0 { other } else { best });
    let (_, file) =
        widest.ok_or_else(|| missing(folders, SEGMENTERS, "an EfficientSAM segmenter (Ti or S)", CONVERT_SEGMENTER))?;
    Ok(file)
}

/// Nothing of a folder is what is wanted: where it was looked for, what lies there instead, and how a file is made.
fn missing(folders: &Folders, kind: &str, wanted: &str, convert: &str) -> NodeError {
    let searched: Vec<String> = folders.model_folders(kind).iter().map(|folder| folder.display().to_string()).collect();
    let mut there = Vec::new();
    for folder in folders.model_folders(kind) {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        there.extend(files.map(|file| file.file_name().to_string_lossy().into_owned()));
    }
    there.sort();
    let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
    let searched = searched.join(", ");
    NodeError::new(format!(
        "{wanted} is in no file of {searched}, where there is {there}. Put a .safetensors file there; one is made of a .pt, \
         .pth or .jit file FILE by\n{convert}"
    ))
}

/// Adds to the error of a pickle or an archive how it is converted.
fn explained(path: &Path, error: ModelError, convert: &str) -> NodeError {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let pickled = matches!(ending.as_deref(), Some("pt" | "pth" | "jit" | "pkl" | "bin" | "ckpt"));
    if pickled && !matches!(error, ModelError::NotThere { .. }) {
        return NodeError::new(format!("{error}. It has to be converted once, where FILE is its name:\n{convert}"));
    }
    error.into()
}

/// Opens a detector with its text encoder: from the same file, or from one of the folders of text encoders. Weights are
/// held under `holder`'s name, as the loader's input gives it.
pub(super) fn open_detector(environment: &Environment, path: &Path, holder: &str) -> Result<DetectorModel, NodeError> {
    let (folders, budget) = (environment.folders(), environment.budget());
    let network = Detector::open(path, holder, budget).map_err(|error| explained(path, error, CONVERT_DETECTOR))?;
    let text = text_encoder(folders, path, holder, network.config().text, budget)?;
    Ok(DetectorModel::new(network, text, environment.device().clone()))
}

fn text_encoder(
    folders: &Folders,
    path: &Path,
    holder: &str,
    width: usize,
    budget: &Arc<Budget>,
) -> Result<TextModel, NodeError> {
    if let Some(text) = Detector::text_encoder(path, holder, width, budget)? {
        return Ok(text);
    }
    let others = ["text_encoders", DETECTORS, "clip_vision"];
    let files = others.into_iter().flat_map(|kind| folders.models(kind).into_iter().map(move |name| (kind, name)));
    for (kind, name) in files {
        // A file of another kind, or a damaged one, is none of ours.
        if let Ok(file) = folders.model(kind, &name)
            && let Ok(Some(text)) = Detector::text_encoder(&file, holder, width, budget)
        {
            return Ok(text);
        }
    }
    let folder = folders.model_folders("text_encoders").into_iter().next().unwrap_or_default();
    Err(NodeError::new(format!(
        "{} has no text encoder in it, and no file of the model folders is one {width} wide (CLIP ViT-B/32): put `model.safetensors` of \
         openai/clip-vit-base-patch32 into {}",
        path.display(),
        folder.display()
    )))
}

/// Opens a segmenter, held under `holder`'s name.
pub(super) fn open_segmenter(environment: &Environment, path: &Path, holder: &str) -> Result<Segmenter, NodeError> {
    Segmenter::open(path, holder, environment.budget()).map_err(|error| explained(path, error, CONVERT_SEGMENTER))
}
