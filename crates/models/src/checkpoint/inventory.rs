//! What a weight file holds, network by network: how large in the file, how large when it is used. For plans and for
//! people; nothing is read but the header.

use std::{path::Path, sync::Arc};

use kiln_memory::{Dtype, KeyMap, Outline, TensorInfo, TensorShapes, TensorSource};

use super::{
    detect,
    recognise::{not_there, recognised},
};
use crate::checkpoint::detect::{Detected, Family, TextEncoderKind, describe};
use crate::{
    error::ModelError,
    nets::{controlnet, detector, family::Families, segmenter, t2i, upscale, vision},
    weights::{component_label, open},
};

/// How keys of tables end of which single rows are read.
const TABLES: [&str; 4] = ["_embedding.weight", "shared.weight", "model.embed_tokens.weight", "pos_embed"];

/// A network in a file.
#[derive(Debug, Clone)]
pub struct Component {
    /// What it is: `unet`, `clip`, `vae`, `controlnet` (or T2I-Adapter), `vision`, `detector`, `segmenter`, `upscaler`.
    pub role: &'static str,
    /// How many tensors it takes.
    pub tensors: usize,
    /// Their bytes as stored.
    pub stored: u64,
    /// Of these, bytes of embedding tables: single rows are read from them, they never stay.
    pub tables: u64,
    /// Of these, bytes that are used straight from the file, as they are f32 there.
    pub in_place: u64,
    /// What would stay: the decoded sizes in the order of use, under the name that the weights are held as.
    pub outline: Outline,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The family of its diffusion model, if it has one.
    pub family: Option<Family>,
    /// The networks, in the order in which an image is made.
    pub parts: Vec<Component>,
    /// The text encoders among them.
    encoders: Vec<TextEncoderKind>,
}

impl Inventory {
    /// Looks into a file (or the index of a file in pieces).
    ///
    /// # Errors
    /// Of the file; `ModelError::NotThere` when it holds no network that is known.
    pub fn of(path: &Path) -> Result<Self, ModelError> {
        Self::among(&detect::families(), path)
    }

    /// As [`of`](Self::of), with the networks of `families`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn among(families: &Families, path: &Path) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let mut parts = Vec::new();
        let file = path.display().to_string();
        let detected = recognised(path, "network", &names, Detected::among(&names, families))?;
        let text = recognised(path, "text encoder", &names, detect::text_encoders(&names))?;
        let encoders = text.iter().map(|(kind, _)| *kind).collect();
        for (_, text) in &text {
            parts.push(Component::new("clip", &file, &source, &text.map, &text.config.tensors()?));
        }
        if let Some(network) = &detected.network
            && !names.any("input_hint_block.")
        {
            parts.push(Component::new("unet", &file, &source, &network.map, &network.config.tensors()?));
        }
        let first = detected.family.map_or("first_stage_model.", |family| family.vae_prefix);
        let vae = detect::vae(&names, &[first, "first_stage_model.", "vae.", ""]);
        if let Some(vae) = recognised(path, "VAE", &names, vae)? {
            parts.push(Component::new("vae", &file, &source, &vae.map, &vae.config.tensors()?));
        }
        let video = detect::video_vae(&names, &[first, "first_stage_model.", "vae.", ""]);
        if let Some(vae) = recognised(path, "VAE", &names, video)? {
            parts.push(Component::new("vae", &file, &source, &vae.map, &vae.config.tensors()?));
        }
        if let Some(vision) = &detected.vision {
            parts.push(Component::new("vision", &file, &source, &vision.map, &vision.config.tensors()?));
        }
        if parts.is_empty() {
            parts.extend(Self::others(&file, &source, &names)?);
        }
        if parts.is_empty() {
            return Err(not_there(
                path,
                "network",
                &names,
                &format!("{}, or a part of such a model", families.probes()),
            ));
        }
        Ok(Self { family: detected.family, parts, encoders })
    }

    fn others(
        file: &str,
        source: &Arc<dyn TensorSource>,
        names: &TensorShapes,
    ) -> Result<Option<Component>, ModelError> {
        let map = controlnet::canonical(names);
        if let Some(config) = controlnet::ControlNetConfig::from_names(&map.names())? {
            return Ok(Some(Component::new("controlnet", file, source, &map, &config.tensors()?)));
        }
        let map = t2i::canonical(names);
        if let Some(config) = t2i::AdapterConfig::from_names(&map.names())? {
            return Ok(Some(Component::new("controlnet", file, source, &map, &config.tensors()?)));
        }
        let map = vision::canonical(names);
        if let Some(config) = vision::VisionConfig::from_names(&map.names())? {
            return Ok(Some(Component::new("vision", file, source, &map, &config.tensors()?)));
        }
        let map = detector::canonical(names);
        if let Ok(Some(config)) = detector::DetectorConfig::from_names(&map.names()) {
            return Ok(Some(Component::new("detector", file, source, &map, &config.tensors()?)));
        }
        let map = segmenter::canonical(names);
        if let Ok(Some(config)) = segmenter::SegmenterConfig::from_names(&map.names()) {
            return Ok(Some(Component::new("segmenter", file, source, &map, &config.tensors()?)));
        }
        let map = upscale::canonical(names);
        let Some(config) = upscale::UpscaleConfig::from_names(&map.names())? else { return Ok(None) };
        Ok(Some(Component::new("upscaler", file, source, &map, &config.tensors()?)))
    }

    /// What the file looks like, in words.
    ///
    /// # Errors
    /// Of the file.
    pub fn describe(path: &Path) -> Result<String, ModelError> {
        Ok(describe(&TensorShapes::of(&*open(path)?)))
    }

    /// What an image needs beside this file, in words: text encoders and an autoencoder, where it has a model and lacks them.
    pub fn needs(&self) -> Vec<String> {
        let Some(family) = self.family.filter(|_| self.part("unet").is_some()) else { return Vec::new() };
        let missing = family.roles().iter().filter(|role| !self.encoders.contains(role));
        let encoders = missing.map(|role| format!("the text encoder {}", role.name()));
        let vae = self.part("vae").is_none().then(|| format!("a VAE of {family}"));
        encoders.chain(vae).collect()
    }

    /// The part of that role.
    pub fn part(&self, role: &str) -> Option<&Component> {
        self.parts.iter().find(|part| part.role == role)
    }
}

impl Component {
    fn new(
        role: &'static str,
        file: &str,
        source: &Arc<dyn TensorSource>,
        map: &KeyMap,
        needed: &TensorShapes,
    ) -> Self {
        let (mut part, mut units) = (Self::empty(role), Vec::new());
        for (key, shape) in needed.iter() {
            let Some(info) = map.place(key).and_then(|place| source.info(&place.tensor)) else { continue };
            let elements = shape.iter().product::<usize>();
            let stored = info.dtype.bytes_for(elements).unwrap_or(0) as u64;
            part.tensors += 1;
            part.stored += stored;
            // Half of an autoencoder makes an image; the other half reads one.
            let idle =
                role == "vae" && ["encoder.", "quant_conv.", "conv1."].iter().any(|start| key.starts_with(start));
            if TABLES.iter().any(|table| key.ends_with(table)) {
                part.tables += stored;
            } else if is_in_place(role, info) {
                part.in_place += stored;
            } else if !idle {
                units.push(elements as u64 * 4);
            }
        }
        Self { outline: Outline::new(component_label(role, file), units), ..part }
    }

    fn empty(role: &'static str) -> Self {
        let outline = Outline::new(role, Vec::new());
        Self { role, tensors: 0, stored: 0, tables: 0, in_place: 0, outline }
    }

    /// Bytes of what would stay, decoded.
    pub fn decoded(&self) -> u64 {
        self.outline.units.iter().sum()
    }
}

/// Text encoders are rounded to f16 when they are loaded, so that f32 doesn't serve as it is.
fn is_in_place(role: &str, info: &TensorInfo) -> bool {
    info.dtype == Dtype::F32 && role != "clip"
}
