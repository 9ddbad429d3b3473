//! The text encoders of a model: which ones its family needs, in which order.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, Dtype, Rounding, TensorShapes, TensorSource};

use super::{
    detect,
    recognise::{not_there, recognised},
};
use crate::checkpoint::detect::{Found, TextEncoderKind, TextFound, families};
use crate::{
    error::ModelError,
    nets::{
        clip::TextModel,
        family::{TextNetwork, TextNetworkConfig, TextRecipe},
    },
    tokenizer::{BytePairs, Words},
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
    pub model: TextNetwork,
    /// Where its weights come from.
    pub weights: ModelWeights,
    /// The vocabulary that its file brings along; without, the one inside the crate serves.
    pub words: Option<Arc<dyn Words>>,
}

impl Encoder {
    /// What stands before its keys in model keys: `clip_l.transformer.`.
    pub fn scope(&self) -> String {
        format!("{}.transformer.", self.role.name())
    }

    pub(super) fn with_weights(&self, weights: ModelWeights) -> Result<Self, ModelError> {
        Ok(Self { model: self.model.config().init(&weights)?, weights, ..self.clone() })
    }
}

impl TextEncoders {
    /// CLIP's network of that role.
    pub fn get(&self, role: TextEncoderKind) -> Option<&Arc<TextModel>> {
        self.encoder(role).and_then(|encoder| encoder.model.clip())
    }

    /// The encoder of that role.
    pub fn encoder(&self, role: TextEncoderKind) -> Option<&Encoder> {
        self.encoders.iter().find(|encoder| encoder.role == role)
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
        complete(paths, recipe, &all_of(paths, budget)?)
    }

    /// Opens text encoders from files as a loader's `type` means it: the file says which language model it is, the type what
    /// T5 and CLIP are for.
    ///
    /// # Errors
    /// As [`open`](Self::open); `ModelError::NotThere` saying what was found, what the type takes and what to do.
    pub fn open_as(paths: &[&Path], kind: &str, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let encoders = all_of(paths, budget)?;
        match TextRecipe::of_loader(kind, &roles(&encoders)) {
            Ok(Some(recipe)) => Ok(Self { recipe, encoders: sorted(recipe, &encoders) }),
            Ok(None) => usual(paths, &encoders),
            Err(missing) => Err(not_suitable(paths, "suitable set of text encoders", &encoders, missing)),
        }
    }

    /// Opens text encoders as those of the family that they are usually used with.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_usual(paths: &[&Path], budget: &Arc<Budget>) -> Result<Self, ModelError> {
        usual(paths, &all_of(paths, budget)?)
    }
}

/// `encoders` as the set that `recipe` needs.
fn complete(paths: &[&Path], recipe: &'static TextRecipe, encoders: &[Encoder]) -> Result<TextEncoders, ModelError> {
    in_order(recipe, encoders).ok_or_else(|| {
        let needs: Vec<&str> = recipe.roles.iter().map(|role| role.name()).collect();
        let missing = format!("{recipe} needs {}", needs.join(" and "));
        not_suitable(paths, "complete set of text encoders", encoders, missing)
    })
}

/// `encoders` as the set of the first family of the table that takes them: those of one file exactly, of several files as
/// many.
fn usual(paths: &[&Path], encoders: &[Encoder]) -> Result<TextEncoders, ModelError> {
    let (families, found) = (families(), roles(encoders));
    let suits = |recipe: &&TextRecipe| match paths {
        [_] => recipe.roles == found,
        _ => recipe.roles.len() >= paths.len(),
    };
    let Some(recipe) = families.iter().map(|family| family.text).find(suits) else {
        let missing = "what a family takes together with them".to_owned();
        return Err(not_suitable(paths, "complete set of text encoders", encoders, missing));
    };
    complete(paths, recipe, encoders)
}

fn roles(encoders: &[Encoder]) -> Vec<TextEncoderKind> {
    encoders.iter().map(|encoder| encoder.role).collect()
}

fn not_suitable(paths: &[&Path], wanted: &'static str, encoders: &[Encoder], missing: String) -> ModelError {
    ModelError::NotThere {
        path: paths.first().map(|path| path.to_path_buf()).unwrap_or_default(),
        wanted,
        recognised: encoders.iter().map(|encoder| encoder.role.name()).collect::<Vec<_>>().join(", "),
        missing,
    }
}

/// Every text encoder of some files.
fn all_of(paths: &[&Path], budget: &Arc<Budget>) -> Result<Vec<Encoder>, ModelError> {
    let mut encoders = Vec::new();
    for path in paths {
        let source = open(path)?;
        let names = TensorShapes::of(&*source);
        let found = recognised(path, "text encoder", &names, detect::text_encoders(&names))?;
        if found.is_empty() {
            return Err(not_there(path, "text encoder", &names, PROBES));
        }
        for found in &found {
            encoders.push(text_over(&source, found, budget)?);
        }
    }
    Ok(encoders)
}

const PROBES: &str = "`text_model.encoder.layers.0.*` or `transformer.resblocks.0.*` (CLIP), \
                      `encoder.block.0.layer.0.SelfAttention.*` (T5), `model.layers.0.self_attn.*` (Qwen, Mistral)";

/// CLIP's encoders are held in f16 whatever dtype the file has: the reference does so, and it moves the third digit. So are
/// others whose file has f32; what is narrower there stays as it is.
fn text_over(
    source: &Arc<dyn TensorSource>,
    (role, found): &TextFound,
    budget: &Arc<Budget>,
) -> Result<Encoder, ModelError> {
    let owner = owner("clip", &**source);
    let weights = ModelWeights::new(source.clone(), found.map.clone(), &owner, budget);
    let weights = if is_wide(&**source, found) { weights.with_rounding(Rounding::F16) } else { weights };
    let weights = weights.scoped(&format!("{}.transformer.", role.name()));
    let words = own_words(&**source, *role)?;
    Ok(Encoder { role: *role, model: found.config.init(&weights)?, weights, words })
}

/// Whether the matrices of an encoder are rounded to f16 when they are loaded.
fn is_wide(source: &dyn TensorSource, found: &Found<TextNetworkConfig>) -> bool {
    const FIRST: [&str; 2] =
        ["encoder.block.0.layer.0.SelfAttention.q.weight", "model.layers.0.self_attn.q_proj.weight"];
    let first = FIRST.iter().find_map(|key| found.map.place(key));
    first.and_then(|place| source.info(&place.tensor)).is_none_or(|info| info.dtype == Dtype::F32)
}

/// The vocabulary in a file: Mistral's bring theirs.
fn own_words(source: &dyn TensorSource, role: TextEncoderKind) -> Result<Option<Arc<dyn Words>>, ModelError> {
    if role != TextEncoderKind::Mistral3 {
        return Ok(None);
    }
    let names = source.names();
    let Some(name) = names.iter().find(|name| **name == "tekken_model" || name.ends_with(".tekken_model")) else {
        return Ok(None);
    };
    let Some(json) = source.slice(name) else { return Ok(None) };
    let words = BytePairs::from_tekken(&json).map_err(|error| ModelError::Text(error.into()))?;
    Ok(Some(Arc::new(words)))
}

/// The encoders that `recipe` needs, in its order; `None` when one is missing, or it takes no prompts.
fn in_order(recipe: &'static TextRecipe, encoders: &[Encoder]) -> Option<TextEncoders> {
    if recipe.roles.is_empty() {
        return None;
    }
    let roles = roles(encoders);
    let all = recipe.roles.iter().all(|role| roles.contains(role));
    let some = recipe.takes_any_of_them() && recipe.roles.iter().any(|role| roles.contains(role));
    (all || some).then(|| TextEncoders { recipe, encoders: sorted(recipe, encoders) })
}

/// Those of `encoders` that `recipe` takes, in its order.
fn sorted(recipe: &TextRecipe, encoders: &[Encoder]) -> Vec<Encoder> {
    let find = |role: &TextEncoderKind| encoders.iter().find(|encoder| encoder.role == *role).cloned();
    recipe.roles.iter().filter_map(find).collect()
}
