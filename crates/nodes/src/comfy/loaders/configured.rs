//! The node that opens a checkpoint by an old configuration file.

use std::collections::BTreeSet;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::schedule::ModelSampling;

use super::config::ModelConfig;
use super::fingerprint::stamps;
use super::opened::{Opened, checkpoints};
use crate::payload::{Clip, Model, Vae};
use crate::runtime::environment::{CxExt, Environment, models};

/// Files of the folder, and those that ComfyUI brings along.
fn configs(host: &Host) -> Vec<String> {
    let files: BTreeSet<String> = models(host, "configs").into_iter().collect();
    let known = ModelConfig::known_names().map(str::to_owned);
    files.into_iter().chain(known).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Opens a checkpoint, and takes from a configuration file what its model predicts and where its text encoder stops. All
/// else is read off the checkpoint.
#[derive(Node)]
#[node(display_name = "Load Checkpoint With Config (DEPRECATED)", category = "advanced/loaders", deprecated)]
pub struct CheckpointLoader {
    /// A file of the folder `configs`, or the name of a well-known one.
    #[input(choices = configs)]
    config_name: String,
    /// A file of the folder `checkpoints`.
    #[input(choices = checkpoints, provides(MODEL = "unet", CLIP = "clip", VAE = "vae"))]
    ckpt_name: String,
}

impl CheckpointLoader {
    /// The folder's file comes before the well-known one of the same name.
    fn config(environment: &Environment, name: &str) -> Result<ModelConfig, NodeError> {
        match (environment.folders().model("configs", name), ModelConfig::known(name)) {
            (Ok(path), _) => ModelConfig::read(&path),
            (Err(_), Some(known)) => Ok(known),
            (Err(error), None) => Err(error.into()),
        }
    }
}

impl Execute for CheckpointLoader {
    type Output = (Model, Clip, Vae);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let environment = known.host::<Environment>()?;
        let checkpoint = known.get_as::<String>("ckpt_name");
        let checkpoint = checkpoint.map(|name| environment.folders().model("checkpoints", &name)).transpose()?;
        // A well-known configuration has no file.
        let config = known.get_as::<String>("config_name");
        let config = config.and_then(|name| environment.folders().model("configs", &name).ok());
        stamps(&checkpoint.into_iter().chain(config).collect::<Vec<_>>())
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, Clip, Vae), NodeError> {
        let config = Self::config(&*cx.environment()?, &self.config_name)?;
        let Opened { mut model, mut clip, vae, .. } = Opened::checkpoint(cx, &self.ckpt_name)?;
        if config.v_prediction {
            model = model.with_sampling(ModelSampling::v_prediction(false));
        }
        if let Some(layer) = config.stop_at {
            clip = clip.stopped_at(layer);
        }
        Ok((model, clip, vae))
    }
}
