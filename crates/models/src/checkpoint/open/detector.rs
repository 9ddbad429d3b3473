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
    weights::{ModelWeights, component_label, open},
};

impl Detector {
    /// Opens a detector's file by pointer. Its weights are held under `detector of` the name `holder`, a file's or what a
    /// loader calls it.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no detector that is known, with the name of what it holds.
    pub fn open(path: &Path, holder: &str, budget: &Arc<Budget>) -> Result<Self, ModelError> {
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
        let owner = component_label("detector", holder);
        config.init(&ModelWeights::new(source, map, &owner, budget))
    }

    /// The sizes of the detector in a file, if it holds one. Only its header is read.
    pub fn peek(path: &Path) -> Option<DetectorConfig> {
        let names = TensorShapes::of(&*open(path).ok()?);
        let map = detector::canonical(&names);
        DetectorConfig::from_names(&probed(&names, &map)).ok().flatten()
    }

    /// The text encoder that a detector is told its classes by, if a file holds one whose projection is `width` wide, which
    /// CLIP ViT-B/32's is at 512; in full precision.
    ///
    /// # Errors
    /// Of the file, or `ModelError::Weights`.
    pub fn text_encoder(
        path: &Path,
        holder: &str,
        width: usize,
        budget: &Arc<Budget>,
    ) -> Result<Option<TextModel>, ModelError> {
        let source = open(path)?;
        let map = text(&TensorShapes::of(&*source));
        if map.names().side("text_projection.weight", 0) != Some(width) {
            return Ok(None);
        }
        let config = TextConfig::from_names(&map.names(), Activation::QuickGelu)?;
        let owner = component_label("clip", holder);
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
