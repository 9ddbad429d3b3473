//! The studio: what the embedding program lends to these nodes. Folders, the device, memory budgets, choices.
//!
//! One value per engine, no globals. Knows no node.

use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use kiln_exec::{Cx, Engine, Host, NodeError};
use kiln_memory::Budget;
use kiln_models::tokenizer::{TokenizerError, Vocabulary};

use crate::files::Folders;

/// Everything that nodes need besides their inputs. Given to an engine as a service of its [`Host`].
#[derive(Debug, Clone)]
pub struct Studio {
    folders: Arc<Folders>,
    device: Device,
    weights: Arc<Budget>,
    previews: bool,
    metadata: bool,
    /// Read once, when the first prompt is encoded.
    vocabulary: Arc<OnceLock<Arc<Vocabulary>>>,
    #[cfg(feature = "testing-nodes")]
    testing: Arc<crate::testing::Shared>,
}

impl Studio {
    /// A studio that works in `folders`, on the CPU, without a limit on memory, with previews and with the graph
    /// stored in pictures.
    pub fn new(folders: Folders) -> Self {
        Self {
            folders: Arc::new(folders),
            device: Device::flex(),
            weights: Budget::unlimited("host"),
            previews: true,
            metadata: true,
            vocabulary: Arc::default(),
            #[cfg(feature = "testing-nodes")]
            testing: Arc::default(),
        }
    }

    /// The same with tensors on another device.
    pub fn on(self, device: Device) -> Self {
        Self { device, ..self }
    }

    /// The same with weights held to `budget`, which also reports who holds what.
    pub fn with_budget(self, budget: Arc<Budget>) -> Self {
        Self { weights: budget, ..self }
    }

    /// The same with or without small pictures of every sampling step.
    pub fn with_previews(self, previews: bool) -> Self {
        Self { previews, ..self }
    }

    /// The same with or without the graph stored in the pictures it makes.
    pub fn with_metadata(self, metadata: bool) -> Self {
        Self { metadata, ..self }
    }

    /// Where everything lies.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Where tensors live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The budget that weights count against.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.weights
    }

    /// Whether sampling shows its steps.
    pub fn previews(&self) -> bool {
        self.previews
    }

    /// Whether pictures carry the graph that made them.
    pub fn metadata(&self) -> bool {
        self.metadata
    }

    /// The words that prompts are cut into.
    ///
    /// # Errors
    /// Only if the vocabulary inside the program is damaged.
    pub fn vocabulary(&self) -> Result<Arc<Vocabulary>, TokenizerError> {
        if let Some(vocabulary) = self.vocabulary.get() {
            return Ok(vocabulary.clone());
        }
        let vocabulary = Arc::new(Vocabulary::bundled()?);
        Ok(self.vocabulary.get_or_init(|| vocabulary).clone())
    }

    /// What testing nodes share.
    #[cfg(feature = "testing-nodes")]
    pub(crate) fn testing(&self) -> &Arc<crate::testing::Shared> {
        &self.testing
    }

    /// An engine with all nodes of this crate that works in this studio.
    pub fn into_engine(self) -> Engine {
        Engine::builder(crate::registry()).host(self.into_host()).build()
    }

    /// A host that lends this studio and nothing else.
    pub fn into_host(self) -> Host {
        Host::new().with(self)
    }
}

/// The studio of a running node.
pub(crate) trait InStudio {
    /// # Errors
    /// When the engine's host lends none.
    fn studio(&self) -> Result<Arc<Studio>, NodeError>;
}

impl InStudio for Cx {
    fn studio(&self) -> Result<Arc<Studio>, NodeError> {
        self.host()
    }
}

/// The names of all models of `kind`, for a combo; empty without a studio.
pub(crate) fn models(host: &Host, kind: &str) -> Vec<String> {
    host.get::<Studio>().map(|studio| studio.folders().models(kind)).unwrap_or_default()
}
