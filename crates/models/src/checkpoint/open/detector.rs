//! A detector's file, and the text encoder that gives it its classes: in the same file or in one of its own.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, KeyMap, TensorShapes};

use crate::{
    checkpoint::recognise::{not_there, recognised},
    error::ModelError,
    nets::{
        clip::{self, Activation, TextConfig, TextModel},
        detector::{self, Detector, DetectorConfig},
    },
    weights::{ModelWeights, open, owner},
};

/// Channels of CLIP ViT-B/32's texts, before and after its projection.
const TEXT: usize = 512;

impl Detector {
    /// Opens a detector's file by pointer.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no detector that is known, with the name of what it holds.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let map = detector::canonical(&names);
        let found = DetectorConfig::from_names(&probed(&names, &map));
        let Some(config) = recognised(path, "detector", &names, found)? else {
            return Err(not_there(
                path,
                "detector",
                &names,
                "`model.16.query.1.weight` or `model.22.cv4.0.norm.weight`",
            ));
        };
        let owner = owner("detector", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }

    /// The sizes of the detector in a file, if it holds one. Only its header is read.
    pub fn peek(path: &Path) -> Option<DetectorConfig> {
        let names = TensorShapes::of(&*open(path).ok()?);
        let map = detector::canonical(&names);
        DetectorConfig::from_names(&probed(&names, &map)).ok().flatten()
    }

    /// The text encoder that detectors are told their classes by (CLIP ViT-B/32), if a file holds it; in full precision.
    ///
    /// # Errors
    /// Of the file, or `ModelError::Weights`.
    pub fn text_encoder(path: &Path, budget: &Arc<Budget>) -> Result<Option<TextModel>, ModelError> {
        let source = open(path)?;
        let map = text(&TensorShapes::of(&*source));
        if !is_text(&map.names()) {
            return Ok(None);
        }
        let config = TextConfig::from_names(&map.names(), Activation::QuickGelu)?;
        let owner = owner("clip", &*source);
        config.init(&ModelWeights::new(source, map, &owner, budget)).map(Some)
    }
}

/// A detector's own keys, and where there are none the file's: other detectors are known by them.
fn probed(names: &TensorShapes, map: &KeyMap) -> TensorShapes {
    if map.names().has("model.0.conv.weight") { map.names() } else { names.clone() }
}

/// Keys of a text encoder in Hugging Face's names, whichever of the two a file has.
fn text(names: &TensorShapes) -> KeyMap {
    if names.has("transformer.resblocks.0.attn.in_proj_weight") {
        clip::open_clip(names, "")
    } else {
        clip::hugging_face(names, "")
    }
    .renamed(|key| (key.starts_with("text_model.") || key == "text_projection.weight").then(|| key.to_owned()))
}

fn is_text(names: &TensorShapes) -> bool {
    names.side("text_model.embeddings.token_embedding.weight", 1) == Some(TEXT)
        && names.shape("text_projection.weight") == Some(&[TEXT, TEXT])
}
