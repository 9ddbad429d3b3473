//! The text encoders of a model: which ones its family needs, in which order.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Rounding, TensorShapes, TensorSource};

use super::{
    detect,
    recognise::{not_there, recognised},
};
use crate::checkpoint::detect::{TextEncoderKind, TextFound, families};
use crate::{
    error::ModelError,
    nets::{clip::TextModel, family::TextRecipe},
    weights::{ModelWeights, open, owner},
};

/// The text encoders of one model, in the order in which their outputs are joined.
#[derive(Debug, Clone)]
pub struct TextEncoders {
    /// How their outputs become one prompt.
    pub recipe: &'static TextRecipe,
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
    /// What stands before its keys in model keys: `clip_l.transformer.`.
    pub fn scope(&self) -> String {
        format!("{}.transformer.", self.role.name())
    }

    pub(super) fn with_weights(&self, weights: ModelWeights) -> Result<Self, ModelError> {
        Ok(Self { role: self.role, model: Arc::new(self.model.config().init(&weights)?), weights })
    }
}

impl TextEncoders {
    /// The encoder of that role.
    pub fn get(&self, role: TextEncoderKind) -> Option<&Arc<TextModel>> {
        self.encoders.iter().find(|encoder| encoder.role == role).map(|encoder| &encoder.model)
    }

    /// These encoders with each weight mixed with that of the other model's encoder of the same role, as
    /// [`DiffusionModel::merged`](crate::DiffusionModel::merged); keys are Hugging Face's (`text_model...`).
    ///
    /// # Errors
    /// When a network can't be built again.
    pub fn merged(&self, other: &Self, share: impl Fn(&str) -> (f32, f32)) -> Result<Self, ModelError> {
        let merge = |encoder: &Encoder| match other.encoders.iter().find(|found| found.role == encoder.role) {
            Some(found) => encoder.with_weights(encoder.weights.merged(&found.weights, &share)),
            None => Ok(encoder.clone()),
        };
        let encoders = self.encoders.iter().map(merge).collect::<Result<_, ModelError>>()?;
        Ok(Self { recipe: self.recipe, encoders })
    }
}

impl TextEncoders {
    /// The text encoders found in a source; `None` when one of the recipe's is missing.
    pub(super) fn over(
        source: &Arc<dyn TensorSource>,
        recipe: &'static TextRecipe,
        found: &[TextFound],
        budget: &Arc<Budget>,
    ) -> Result<Option<Self>, ModelError> {
        let built = found.iter().map(|found| text_over(source, found, budget));
        Ok(in_order(recipe, &built.collect::<Result<Vec<_>, _>>()?))
    }

    /// Opens the text encoders of a family from one or two files (or from checkpoints).
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open); `ModelError::NotThere` naming the encoder that none of the files holds.
    pub fn open(paths: &[&Path], recipe: &'static TextRecipe, budget: &Arc<Budget>) -> Result<Self, ModelError> {
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
        let Some(stack) = in_order(recipe, &encoders) else {
            let roles: Vec<&str> = recipe.roles.iter().map(|role| role.name()).collect();
            let found: Vec<&str> = encoders.iter().map(|encoder| encoder.role.name()).collect();
            return Err(ModelError::NotThere {
                path: paths.first().map(|path| path.to_path_buf()).unwrap_or_default(),
                wanted: "complete set of text encoders",
                recognised: found.join(", "),
                missing: format!("{recipe} needs {}", roles.join(" and ")),
            });
        };
        Ok(stack)
    }

    /// The family that the text encoders of a single file are usually used with.
    ///
    /// # Errors
    /// As [`Checkpoint::open`](crate::Checkpoint::open).
    pub fn open_any(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "text encoder", &names, detect::text_encoders(&names))?;
        let roles: Vec<TextEncoderKind> = found.iter().map(|(role, _)| *role).collect();
        if roles.is_empty() {
            return Err(not_there(path, "text encoder", &names, "`text_model.encoder.layers.0.*`"));
        }
        let families = families();
        let recipe = families.iter().map(|family| family.text).find(|recipe| recipe.roles == roles);
        let recipe = recipe.ok_or_else(|| ModelError::NotThere {
            path: path.to_path_buf(),
            wanted: "complete set of text encoders",
            recognised: roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", "),
            missing: "what a family takes together with them".to_owned(),
        })?;
        Self::open(&[path], recipe, budget)
    }
}

/// Text encoders are held in f16 whatever dtype the file has: the reference does so, and it moves the third digit.
fn text_over(
    source: &Arc<dyn TensorSource>,
    (role, found): &TextFound,
    budget: &Arc<Budget>,
) -> Result<Encoder, ModelError> {
    let owner = owner("clip", &**source);
    let weights = ModelWeights::new(source.clone(), found.map.clone(), &owner, budget).with_rounding(Rounding::F16);
    let weights = weights.scoped(&format!("{}.transformer.", role.name()));
    Ok(Encoder { role: *role, model: Arc::new(found.config.init(&weights)?), weights })
}

/// The encoders that `recipe` needs, in its order; `None` when one is missing, or it takes no prompts.
fn in_order(recipe: &'static TextRecipe, encoders: &[Encoder]) -> Option<TextEncoders> {
    if recipe.roles.is_empty() {
        return None;
    }
    let find = |role: &TextEncoderKind| encoders.iter().find(|encoder| encoder.role == *role).cloned();
    let encoders = recipe.roles.iter().map(find).collect::<Option<Vec<_>>>()?;
    Some(TextEncoders { recipe, encoders })
}
