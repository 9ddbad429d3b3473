//! A checkpoint that is open: its parts, and the word of those that it lacks.

use kiln_exec::{Cx, Host, NodeError};
use kiln_models::Checkpoint;

use crate::payload::{Clip, ClipVision, MissingPart, Model, Vae};
use crate::runtime::environment::{CxExt, models};

/// The files of the folder `checkpoints`.
pub(in crate::comfy) fn checkpoints(host: &Host) -> Vec<String> {
    models(host, "checkpoints")
}

/// A checkpoint's parts. As in ComfyUI a file may lack what another brings.
pub(super) struct Opened {
    pub(super) model: Model,
    pub(super) clip: Clip,
    pub(super) vae: Vae,
    pub(super) vision: ClipVision,
}

impl Opened {
    pub(super) fn checkpoint(cx: &Cx, name: &str) -> Result<Self, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("checkpoints", name)?;
        let Checkpoint { model, text, vae, vision } =
            Checkpoint::open_among(environment.families(), &path, environment.budget())?;
        let lacks = |what: String, loader| MissingPart { file: path.clone(), what, loader };
        let (encoder, loader) = match model.family.roles() {
            [] => (format!("text encoder, as {} is told by an image what to draw", model.family), "CLIPLoader"),
            [_] => (format!("text encoder for {}", model.family), "CLIPLoader"),
            _ => (format!("text encoder for {}", model.family), "DualCLIPLoader"),
        };
        let seeing = || lacks("image encoder".to_owned(), "CLIPVisionLoader");
        Ok(Self {
            model: Model::new(model),
            clip: text.map_or_else(|| Clip::missing(lacks(encoder, loader)), Clip::new),
            vae: vae.map_or_else(|| Vae::missing(lacks("autoencoder".to_owned(), "VAELoader")), Vae::new),
            vision: vision.map_or_else(|| ClipVision::missing(seeing()), ClipVision::new),
        })
    }
}
