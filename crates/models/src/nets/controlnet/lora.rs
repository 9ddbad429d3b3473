//! A control-LoRA: a ControlNet whose weights are those of the UNet it is used with, changed by thin matrices.
//!
//! Knows sources and weights. Knows no file's path and no run: the UNet is handed in when it is used.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use kiln_memory::{Budget, ComputedSource, KeyMap, SourceError, TensorInfo, TensorShapes, TensorSource};

use super::{config::ControlNetConfig, model::ControlNet};
use crate::{
    error::ModelError,
    lora::{LoraFile, Prefixes, Target},
    nets::unet::UNetConfig,
    weights::{ModelWeights, Patches, owner},
};

/// A ControlNet that holds what it has of its own, and how it differs from a UNet's way down.
///
/// Source: ComfyUI `comfy/controlnet.py`, `ControlLora`: the UNet's weights as they are when it is sampled, LoRAs included;
/// over them the file's whole tensors, or `up · down` added.
pub struct ControlLora {
    source: Arc<dyn TensorSource>,
    hint_channels: usize,
    hint: Vec<usize>,
    budget: Arc<Budget>,
    /// The last network and the weights that it stands on: those of all steps, and as a rule of all runs, are the same.
    built: Mutex<Option<(ModelWeights, Arc<ControlNet>)>>,
}

impl ControlLora {
    /// Over a source of tensors; `None` when that has no convolutions for an image.
    pub fn new(source: Arc<dyn TensorSource>, budget: &Arc<Budget>) -> Option<Self> {
        let (hint_channels, hint) = ControlNetConfig::hint_of(&TensorShapes::of(&*source))?;
        Some(Self { source, hint_channels, hint, budget: budget.clone(), built: Mutex::default() })
    }

    /// The network over the weights of the UNet that it steers.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when there is no UNet, or one of another family; `ModelError::Weights` for tensors of
    /// another shape.
    pub(super) fn on(&self, base: Option<&ModelWeights>) -> Result<Arc<ControlNet>, ModelError> {
        let base = base.ok_or_else(|| self.unfit("only a Stable Diffusion UNet has the weights that it changes"))?;
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, net)) = built.as_ref().filter(|(known, _)| known.is_same(base)) {
            return Ok(net.clone());
        }
        let net = Arc::new(self.network(base)?);
        *built = Some((base.clone(), net.clone()));
        Ok(net)
    }

    /// As [`on`](Self::on), built anew.
    pub(crate) fn network(&self, base: &ModelWeights) -> Result<ControlNet, ModelError> {
        let unet = UNetConfig::from_names(&base.map().names())?;
        let (hint_channels, hint) = (self.hint_channels, self.hint.clone());
        let config = ControlNetConfig { unet, hint_channels, hint, union: None };
        let needed = config.tensors()?;
        let file = LoraFile::new(self.source.clone());
        let patches = self.changes(&file, &needed)?;
        // What the file lacks starts as zeros and becomes the UNet's: one copy of that in memory serves both.
        let lacking = |(key, _): &(&str, &[usize])| self.source.info(key).is_none() && base.map().place(key).is_some();
        let zeros = needed.iter().filter(lacking).map(|(key, shape)| (key.to_owned(), shape.to_vec()));
        let zeros: Arc<dyn TensorSource> =
            Arc::new(ComputedSource::new("the base model", zeros, |_, _, out| out.fill(0.0)));
        let overlay = Overlay { layers: [self.source.clone(), zeros] };
        let (map, owner) = (overlay.map(&needed), owner("controlnet", &overlay));
        let weights = ModelWeights::new(Arc::new(overlay), map, &owner, &self.budget);
        let own = |key: &str| if self.source.info(key).is_some() { (1.0, 0.0) } else { (0.0, 1.0) };
        config.init(&weights.merged(base, own).patched(&patches))
    }

    /// The products of thin matrices, each of the shape of the weight that it changes.
    fn changes(&self, file: &LoraFile, needed: &TensorShapes) -> Result<Patches, ModelError> {
        let stem = |(key, _): (&str, &[usize])| Some((key.strip_suffix(".weight")?.to_owned(), key.to_owned()));
        let prefixes: Prefixes = needed.iter().filter_map(stem).collect();
        let targets = file.find(&prefixes).targets;
        let mismatch = |target: &Target| file.shape_mismatch(target, needed.shape(&target.key)?);
        if let Some(found) = targets.iter().find_map(mismatch) {
            let (tensor, shape, weight) = (found.tensor, found.found, found.weight);
            return Err(self.unfit(&format!("tensor `{tensor}` is {shape:?}, the model's weight {weight:?}")));
        }
        let mut patches = Patches::default();
        patches.add(file, &targets, "", 1.0);
        Ok(patches)
    }

    fn unfit(&self, why: &str) -> ModelError {
        let what = format!("a model for the control-LoRA {}", self.source.label());
        ModelError::Unrecognised { what, detail: why.to_owned() }
    }
}

impl fmt::Debug for ControlLora {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlLora({})", self.source.label())
    }
}

/// One source before another: what the first lacks is the second's.
struct Overlay {
    layers: [Arc<dyn TensorSource>; 2],
}

impl Overlay {
    fn source_of(&self, name: &str) -> &Arc<dyn TensorSource> {
        let [over, under] = &self.layers;
        if over.info(name).is_some() { over } else { under }
    }

    /// The needed keys that are in one of the two.
    fn map(&self, needed: &TensorShapes) -> KeyMap {
        let mut map = KeyMap::default();
        for (key, _) in needed.iter() {
            if let Some(info) = self.info(key) {
                map.whole(key, key, &info.shape);
            }
        }
        map
    }
}

impl TensorSource for Overlay {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        &self.layers
    }

    fn label(&self) -> String {
        self.layers[0].label()
    }

    fn names(&self) -> Vec<&str> {
        let [over, under] = &self.layers;
        let more = under.names().into_iter().filter(|name| over.info(name).is_none());
        over.names().into_iter().chain(more).collect()
    }

    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.source_of(name).info(name)
    }

    fn slice(&self, name: &str) -> Option<Bytes> {
        self.source_of(name).slice(name)
    }

    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        self.source_of(name).read_f32(name, out)
    }

    fn read_part(&self, name: &str, elements: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.source_of(name).read_part(name, elements, out)
    }

    fn touch(&self, name: &str, bytes: Range<usize>) -> Result<(), SourceError> {
        self.source_of(name).touch(name, bytes)
    }

    fn done_with(&self, name: &str) {
        self.source_of(name).done_with(name);
    }
}
