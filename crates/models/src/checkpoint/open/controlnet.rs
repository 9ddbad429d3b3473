//! A ControlNet's file, with its weights or with changes to a base model's.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes, TensorSource};

use super::based;
use crate::{
    checkpoint::{diffusion::DiffusionModel, recognise::not_there},
    error::ModelError,
    nets::controlnet::{self, ControlLora, ControlNet, ControlNetConfig, ControlNetwork},
    weights::{ModelWeights, open, owner},
};

impl ControlNet {
    /// Opens a ControlNet's file by pointer. Files that only change a base model's weights (differences,
    /// control-LoRAs) need that model as `base`; others don't look at it.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no ControlNet, or needs a base model and has none.
    pub fn open(path: &Path, base: Option<&DiffusionModel>, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::of(open(path)?, path, base, budget)
    }

    /// As [`open`](Self::open), of a file that is open.
    fn of(
        source: Arc<dyn TensorSource>,
        path: &Path,
        base: Option<&DiffusionModel>,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let names = TensorShapes::of(&*source);
        let missing = |what: &str| not_there(path, "ControlNet", &names, what);
        let (lora, difference) = (names.has("lora_controlnet"), names.has("difference"));
        let net = match base {
            Some(base) if lora => {
                ControlLora::new(source, budget).map(|lora| lora.network(&base.weights)).transpose()?
            }
            Some(base) if difference => based::difference(source, &names, base, budget)?,
            None if lora || difference => {
                return Err(missing("a base model: this file only changes one's weights (control-LoRA, difference)"));
            }
            _ => {
                let map = controlnet::canonical(&names);
                let config = ControlNetConfig::from_names(&map.names())?;
                let owner = owner("controlnet", &*source);
                let init = |config: ControlNetConfig| config.init(&ModelWeights::new(source, map, &owner, budget));
                config.map(init).transpose()?
            }
        };
        net.ok_or_else(|| missing(HINT))
    }
}

/// What a file without a ControlNet lacks.
const HINT: &str = "`input_hint_block.0.weight`, or `controlnet_cond_embedding.conv_in.weight`";

impl ControlNetwork {
    /// Opens a ControlNet's file by pointer, whole or as a control-LoRA.
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no ControlNet, or only differences from a base model.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        if !names.has("lora_controlnet") {
            return Ok(Self::Whole(Arc::new(ControlNet::of(source, path, None, budget)?)));
        }
        let lora = ControlLora::new(source, budget).ok_or_else(|| not_there(path, "control-LoRA", &names, HINT))?;
        Ok(Self::Lora(Arc::new(lora)))
    }
}
