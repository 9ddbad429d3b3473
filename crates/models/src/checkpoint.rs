//! A checkpoint opened by pointer: what it holds, as networks over its file. Opening reads the header and little else.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Rounding, TensorShapes, TensorSource, apply_scales, open_weights};

use crate::{
    LatentFormat, ModelError, ModelWeights,
    clip::TextModel,
    detect::{self, Detected, Family, Found, Prediction, TextEncoderKind, TextFound, describe},
    lora::{self, LoraFile, Patches, Prefixes, Target},
    unet::{UNet, UNetConfig},
    vae::{Vae, VaeConfig},
};

/// A UNet with what its family says about it.
#[derive(Debug, Clone)]
pub struct DiffusionModel {
    /// The network.
    pub unet: Arc<UNet>,
    /// The family.
    pub kind: Family,
    /// What its output means.
    pub prediction: Prediction,
    /// How its latents are scaled.
    pub latent: LatentFormat,
    /// Where its weights come from.
    pub weights: ModelWeights,
}

/// The text encoders of one model, in the order in which their outputs are joined.
#[derive(Debug, Clone)]
pub struct TextEncoders {
    /// The family they speak for.
    pub kind: Family,
    /// Each with its role.
    pub encoders: Vec<Encoder>,
}

/// One text encoder of a model.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// Which one.
    pub role: TextEncoderKind,
    /// The network.
    pub model: Arc<TextModel>,
    /// Where its weights come from.
    pub weights: ModelWeights,
}

impl Encoder {
    fn with_weights(&self, weights: ModelWeights) -> Result<Self, ModelError> {
        Ok(Self { role: self.role, model: Arc::new(self.model.config().init(&weights)?), weights })
    }
}

impl TextEncoders {
    /// The encoder of that role.
    pub fn get(&self, role: TextEncoderKind) -> Option<&Arc<TextModel>> {
        self.encoders.iter().find(|encoder| encoder.role == role).map(|encoder| &encoder.model)
    }

    /// The weights that a LoRA's prefixes mean here.
    ///
    /// # Errors
    /// When a configuration contradicts itself.
    pub fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        let configs: Vec<_> = self.encoders.iter().map(|encoder| (encoder.role, encoder.model.config())).collect();
        lora::text_keys(&configs)
    }

    /// Every weight with its shape, by the keys that [`lora_keys`](Self::lora_keys) answers with.
    pub fn lora_shapes(&self) -> TensorShapes {
        let scoped = |encoder: &Encoder| {
            let names = encoder.weights.map().names();
            let scope = format!("{}.transformer.", encoder.role.name());
            names.iter().map(|(key, shape)| (format!("{scope}{key}"), shape.to_vec())).collect::<Vec<_>>()
        };
        self.encoders.iter().flat_map(scoped).collect()
    }

    /// The same encoders with adapters of a LoRA file applied to their weights when they are loaded.
    ///
    /// # Errors
    /// When a network can't be built again.
    pub fn patched(&self, file: &LoraFile, targets: &[Target], strength: f32) -> Result<Self, ModelError> {
        let patch = |encoder: &Encoder| {
            let mut patches = Patches::default();
            patches.add(file, targets, &format!("{}.transformer.", encoder.role.name()), strength);
            if patches.is_empty() {
                return Ok(encoder.clone());
            }
            encoder.with_weights(encoder.weights.patched(&patches))
        };
        let encoders = self.encoders.iter().map(patch).collect::<Result<_, ModelError>>()?;
        Ok(Self { kind: self.kind, encoders })
    }

    /// The same encoders with each weight mixed with that of the other model's encoder of the same role, as
    /// [`DiffusionModel::merged`]; keys are Hugging Face's (`text_model...`).
    ///
    /// # Errors
    /// When a network can't be built again.
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Result<Self, ModelError> {
        let merge = |encoder: &Encoder| match other.encoders.iter().find(|found| found.role == encoder.role) {
            Some(found) => encoder.with_weights(encoder.weights.merged(&found.weights, &share)),
            None => Ok(encoder.clone()),
        };
        let encoders = self.encoders.iter().map(merge).collect::<Result<_, ModelError>>()?;
        Ok(Self { kind: self.kind, encoders })
    }
}

/// What a checkpoint file holds.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The diffusion model.
    pub model: DiffusionModel,
    /// The text encoders, if all of its family's are in the file.
    pub text: Option<TextEncoders>,
    /// The autoencoder, if it is in the file.
    pub vae: Option<Arc<Vae>>,
}

impl Checkpoint {
    /// Opens a full checkpoint. Its weights are held in `budget` under the names that [`component_label`] gives to the parts `unet`,
    /// `clip` and `vae`.
    ///
    /// # Errors
    /// Of the file (missing, truncated, broken header), `ModelError::NotThere` when it holds no UNet,
    /// `ModelError::Weights` with every missing tensor and every wrong shape.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let detected = recognised(path, "checkpoint", &names, Detected::in_checkpoint(&names))?;
        let (Some(unet), Some(kind)) = (&detected.unet, detected.kind) else {
            return Err(not_there(path, "Stable Diffusion checkpoint", &names, UNET));
        };
        for stranger in detected.strangers(&names) {
            tracing::debug!(tensor = stranger, file = %path.display(), "a tensor that nothing uses");
        }
        Ok(Self {
            model: DiffusionModel::over(&source, unet, kind, None, budget)?,
            text: text_stack(&source, kind, &detected.text, budget)?,
            vae: detected.vae.as_ref().map(|vae| vae_over(&source, vae, budget)).transpose()?,
        })
    }
}

const UNET: &str = "a UNet (`model.diffusion_model.input_blocks.0.0.weight`, or `conv_in.weight` and `down_blocks.*`)";

impl DiffusionModel {
    /// Opens a UNet that lies alone in a file, or the one of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        Self::open_rounded(path, None, budget)
    }

    /// As [`open`](Self::open), with every weight rounded when it is loaded.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_rounded(path: &Path, rounding: Option<Rounding>, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "UNet", &names, detect::unet(&names))?;
        let unet = found.ok_or_else(|| not_there(path, "UNet", &names, UNET))?;
        let text = Detected::in_checkpoint(&names).map(|detected| detected.text).unwrap_or_default();
        let roles: Vec<TextEncoderKind> = text.iter().map(|(role, _)| *role).collect();
        Self::over(&source, &unet, Family::of(&unet.config, &roles), rounding, budget)
    }

    fn over(
        source: &Arc<dyn TensorSource>,
        unet: &Found<UNetConfig>,
        kind: Family,
        rounding: Option<Rounding>,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let prediction = Prediction::of(kind, unet, &**source)?;
        let latent = if prediction == Prediction::Edm { LatentFormat::PLAYGROUND } else { kind.latent() };
        let keyed = ModelWeights::new(source.clone(), unet.map.clone(), &holder("unet", &**source), budget);
        let keyed = match rounding {
            Some(rounding) => keyed.with_rounding(rounding),
            None => keyed,
        };
        Ok(Self { unet: Arc::new(unet.config.init(&keyed)?), kind, prediction, latent, weights: keyed })
    }

    /// The weights that a LoRA's prefixes mean here.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn lora_keys(&self) -> Result<Prefixes, ModelError> {
        lora::unet_keys(self.unet.config())
    }

    /// Every weight with its shape, by the keys that [`lora_keys`](Self::lora_keys) answers with.
    pub fn lora_shapes(&self) -> TensorShapes {
        let names = self.weights.map().names();
        names.iter().map(|(key, shape)| (format!("diffusion_model.{key}"), shape)).collect()
    }

    /// The same model with adapters of a LoRA file applied to its weights when they are loaded.
    ///
    /// # Errors
    /// When the network can't be built again.
    pub fn patched(&self, file: &LoraFile, targets: &[Target], strength: f32) -> Result<Self, ModelError> {
        let mut patches = Patches::default();
        patches.add(file, targets, "diffusion_model.", strength);
        self.with_weights(self.weights.patched(&patches))
    }

    /// The same model with each weight mixed with another model's: `own · W + others · W2` where `share` answers
    /// `(own, others)` for a key in original names (`input_blocks.1.0...`). Prediction and schedule stay this model's.
    ///
    /// # Errors
    /// When the network can't be built again.
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Result<Self, ModelError> {
        self.with_weights(self.weights.merged(&other.weights, share))
    }

    fn with_weights(&self, weights: ModelWeights) -> Result<Self, ModelError> {
        Ok(Self { unet: Arc::new(self.unet.config().init(&weights)?), weights, ..self.clone() })
    }
}

impl TextEncoders {
    /// Opens the text encoders of a family from one or two files (or from checkpoints).
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `ModelError::NotThere` naming the encoder that none of the files holds.
    pub fn open(paths: &[&Path], kind: Family, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let mut encoders = Vec::new();
        for path in paths {
            let source = open(path)?;
            let names = TensorShapes::of(&*source);
            let found = recognised(path, "text encoder", &names, detect::text_encoders(&names))?;
            if found.is_empty() {
                let probe = "`text_model.encoder.layers.0.*` or `transformer.resblocks.0.*`";
                return Err(not_there(path, "text encoder", &names, probe));
            }
            for found in &found {
                encoders.push(text_over(&source, found, budget)?);
            }
        }
        let Some(stack) = in_order(kind, &encoders) else {
            let roles: Vec<&str> = kind.roles().iter().map(|role| role.name()).collect();
            let found: Vec<&str> = encoders.iter().map(|encoder| encoder.role.name()).collect();
            return Err(ModelError::NotThere {
                path: paths.first().map(|path| path.to_path_buf()).unwrap_or_default(),
                wanted: "complete set of text encoders",
                recognised: found.join(", "),
                missing: format!("{kind} needs {}", roles.join(" and ")),
            });
        };
        Ok(stack)
    }

    /// The family that the text encoders of a single file are usually used with.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open_any(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "text encoder", &names, detect::text_encoders(&names))?;
        let roles: Vec<TextEncoderKind> = found.iter().map(|(role, _)| *role).collect();
        let kind = match roles.as_slice() {
            [] => return Err(not_there(path, "text encoder", &names, "`text_model.encoder.layers.0.*`")),
            [TextEncoderKind::L] => Family::Sd1,
            [TextEncoderKind::H] => Family::Sd2,
            [TextEncoderKind::G] => Family::SdxlRefiner,
            _ => Family::Sdxl,
        };
        Self::open(&[path], kind, budget)
    }
}

impl Vae {
    /// Opens an autoencoder that lies alone in a file, or the one of a checkpoint.
    ///
    /// # Errors
    /// As [`Checkpoint::open`].
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "VAE", &names, detect::vae(&names, &["", "first_stage_model.", "vae."]))?;
        let vae = found.ok_or_else(|| not_there(path, "VAE", &names, "`decoder.conv_in.weight`"))?;
        let holder = holder("vae", &*source);
        vae.config.init(&ModelWeights::new(source, vae.map, &holder, budget))
    }
}

/// A file of weights, or the index of one in pieces.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn TensorSource>, ModelError> {
    let file = open_weights(path).map_err(kiln_memory::SourceError::from)?;
    Ok(apply_scales(file))
}

/// The name under which the weights of a part (`unet`, `clip`, `vae`, `controlnet`, `upscaler`) of a file are held: a
/// report and a schedule tell the parts of different files apart by it.
///
/// ```
/// assert_eq!(kiln_models::component_label("unet", "sd/v1-5.safetensors"), "unet of v1-5");
/// ```
pub fn component_label(part: &str, file: &str) -> String {
    let file = file.strip_suffix(".index.json").unwrap_or(file);
    let stem = Path::new(file).file_stem().map_or_else(|| file.into(), std::ffi::OsStr::to_string_lossy);
    format!("{part} of {stem}")
}

pub(crate) fn holder(part: &str, source: &dyn TensorSource) -> String {
    component_label(part, &source.label())
}

pub(crate) fn recognised<T>(
    path: &Path,
    wanted: &'static str,
    names: &TensorShapes,
    result: Result<T, ModelError>,
) -> Result<T, ModelError> {
    result.map_err(|error| match error {
        ModelError::Unrecognised { what, detail } => ModelError::NotThere {
            path: path.to_path_buf(),
            wanted,
            recognised: describe(names),
            missing: format!("{what} that makes sense: {detail}"),
        },
        other => other,
    })
}

pub(crate) fn not_there(path: &Path, wanted: &'static str, names: &TensorShapes, missing: &str) -> ModelError {
    ModelError::NotThere { path: path.to_path_buf(), wanted, recognised: describe(names), missing: missing.to_owned() }
}

fn vae_over(
    source: &Arc<dyn TensorSource>,
    vae: &Found<VaeConfig>,
    budget: &Arc<Budget>,
) -> Result<Arc<Vae>, ModelError> {
    let keyed = ModelWeights::new(source.clone(), vae.map.clone(), &holder("vae", &**source), budget);
    Ok(Arc::new(vae.config.init(&keyed)?))
}

/// Text encoders are held in f16 whatever the file says: the reference does so, and it moves the third digit.
fn text_over(
    source: &Arc<dyn TensorSource>,
    (role, found): &TextFound,
    budget: &Arc<Budget>,
) -> Result<Encoder, ModelError> {
    let holder = holder("clip", &**source);
    let keyed = ModelWeights::new(source.clone(), found.map.clone(), &holder, budget).with_rounding(Rounding::F16);
    Ok(Encoder { role: *role, model: Arc::new(found.config.init(&keyed)?), weights: keyed })
}

fn text_stack(
    source: &Arc<dyn TensorSource>,
    kind: Family,
    found: &[TextFound],
    budget: &Arc<Budget>,
) -> Result<Option<TextEncoders>, ModelError> {
    let built = found.iter().map(|found| text_over(source, found, budget));
    Ok(in_order(kind, &built.collect::<Result<Vec<_>, _>>()?))
}

/// The encoders that `kind` needs, in its order; `None` when one is missing.
fn in_order(kind: Family, encoders: &[Encoder]) -> Option<TextEncoders> {
    let find = |role: &TextEncoderKind| encoders.iter().find(|encoder| encoder.role == *role).cloned();
    let encoders = kind.roles().iter().map(find).collect::<Option<Vec<_>>>()?;
    Some(TextEncoders { kind, encoders })
}
