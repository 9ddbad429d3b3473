//! ControlNets that are kept as changes to a base model's UNet: differences, and control-LoRAs.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use kiln_memory::{Budget, KeyMap, SourceError, TensorInfo, TensorShapes, TensorSource};

use crate::nets::controlnet::{self, ControlNet, ControlNetConfig};
use crate::{
    checkpoint::diffusion::DiffusionModel,
    error::ModelError,
    lora::{LoraFile, Prefixes},
    weights::{ModelWeights, Patches, owner},
};

/// Every weight that the base model has too is the base's plus the file's.
pub(super) fn difference(
    source: Arc<dyn TensorSource>,
    names: &TensorShapes,
    base: &DiffusionModel,
    budget: &Arc<Budget>,
) -> Result<Option<ControlNet>, ModelError> {
    let map = controlnet::canonical(names);
    let Some(config) = ControlNetConfig::from_names(&map.names())? else { return Ok(None) };
    let owner = owner("controlnet", &*source);
    let weights = ModelWeights::new(source, map, &owner, budget).merged(&base.weights, |_| (1.0, 1.0));
    config.init(&weights).map(Some)
}

/// The base's weights plus `up · down` of the file; what the file holds whole takes the base's place.
pub(super) fn control_lora(
    source: Arc<dyn TensorSource>,
    names: &TensorShapes,
    base: &DiffusionModel,
    budget: &Arc<Budget>,
) -> Result<Option<ControlNet>, ModelError> {
    let Some((hint_channels, hint)) = ControlNetConfig::hint_of(names) else { return Ok(None) };
    let config = ControlNetConfig { unet: base.unet.config().clone(), hint_channels, hint };
    let needed = config.tensors()?;
    let file = LoraFile::new(source.clone());
    let overlay = Overlay { layers: [source, base.weights.weights().source().clone()] };
    let map = overlay.map(&needed);
    let stem = |(key, _): (&str, &[usize])| Some((key.strip_suffix(".weight")?.to_owned(), key.to_owned()));
    let prefixes: Prefixes = needed.iter().filter_map(stem).collect();
    let mut patches = Patches::default();
    patches.add(&file, &file.find(&prefixes).targets, "", 1.0);
    let owner = owner("controlnet", &overlay);
    config.init(&ModelWeights::new(Arc::new(overlay), map, &owner, budget).patched(&patches)).map(Some)
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
