//! The network of a text encoder, whatever its kind: CLIP, T5, a language model with or without a vision tower.

use std::sync::Arc;

use kiln_memory::TensorShapes;

use crate::{
    error::ModelError,
    nets::{
        clip::{TextConfig, TextModel},
        llm::{LlmConfig, LlmModel},
        qwen_vision::{QwenVision, QwenVisionConfig},
        t5::{T5Config, T5Model},
    },
    weights::ModelWeights,
};

/// The sizes of a text encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextNetworkConfig {
    /// One of CLIP's.
    Clip(TextConfig),
    /// T5's encoder.
    T5(T5Config),
    /// A language model, and its vision tower where it has one.
    Llm(LlmConfig, Option<QwenVisionConfig>),
}

impl TextNetworkConfig {
    /// Key and shape of every tensor, in the order of use.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    pub fn tensors(&self) -> Result<TensorShapes, ModelError> {
        match self {
            Self::Clip(config) => config.tensors(),
            Self::T5(config) => config.tensors(),
            Self::Llm(config, vision) => {
                let mut tensors = config.tensors()?;
                if let Some(vision) = vision {
                    vision.tensors()?.iter().for_each(|(key, shape)| tensors.insert(key, shape));
                }
                Ok(tensors)
            }
        }
    }

    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, weights: &ModelWeights) -> Result<TextNetwork, ModelError> {
        Ok(match self {
            Self::Clip(config) => TextNetwork::Clip(Arc::new(config.init(weights)?)),
            Self::T5(config) => TextNetwork::T5(Arc::new(config.init(weights)?)),
            Self::Llm(config, vision) => {
                let vision = vision.as_ref().map(|vision| vision.init(weights)).transpose()?;
                TextNetwork::Llm(Arc::new(config.init(weights)?), vision.map(Arc::new))
            }
        })
    }

    /// Channels per token.
    pub fn width(&self) -> usize {
        match self {
            Self::Clip(config) => config.width,
            Self::T5(config) => config.width,
            Self::Llm(config, _) => config.width,
        }
    }

    /// These sizes, if they are one of CLIP's.
    pub fn clip(&self) -> Option<&TextConfig> {
        match self {
            Self::Clip(config) => Some(config),
            _ => None,
        }
    }
}

/// The network of a text encoder.
#[derive(Debug, Clone)]
pub enum TextNetwork {
    /// One of CLIP's.
    Clip(Arc<TextModel>),
    /// T5's encoder.
    T5(Arc<T5Model>),
    /// A language model, and its vision tower where its file has one.
    Llm(Arc<LlmModel>, Option<Arc<QwenVision>>),
}

impl TextNetwork {
    /// Its sizes.
    pub fn config(&self) -> TextNetworkConfig {
        match self {
            Self::Clip(model) => TextNetworkConfig::Clip(model.config().clone()),
            Self::T5(model) => TextNetworkConfig::T5(model.config().clone()),
            Self::Llm(model, vision) => {
                let vision = vision.as_ref().map(|vision| vision.config().clone());
                TextNetworkConfig::Llm(model.config().clone(), vision)
            }
        }
    }

    /// The network, if it is one of CLIP's.
    pub fn clip(&self) -> Option<&Arc<TextModel>> {
        match self {
            Self::Clip(model) => Some(model),
            _ => None,
        }
    }

    /// The network, if it is T5's.
    pub fn t5(&self) -> Option<&Arc<T5Model>> {
        match self {
            Self::T5(model) => Some(model),
            _ => None,
        }
    }
}
