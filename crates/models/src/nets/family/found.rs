//! A network that was recognised in names and shapes: its sizes, where its tensors are, and how it is built.

use std::{any::Any, fmt::Debug, sync::Arc};

use kiln_memory::{KeyMap, TensorShapes};

use crate::{
    error::ModelError,
    nets::{denoiser::Network, side_inputs::SideInputs},
    weights::ModelWeights,
};

/// Something recognised: its sizes and where its tensors are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<C> {
    /// Its sizes.
    pub config: C,
    /// Where its tensors are.
    pub map: KeyMap,
}

/// A recognised denoising network.
pub type FoundNetwork = Found<Arc<dyn NetworkConfig>>;

impl FoundNetwork {
    /// The network whose tensors `map` found, if it did, with the sizes that `read` takes from its keys.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn of<C: NetworkConfig>(
        map: Option<KeyMap>,
        read: impl FnOnce(&TensorShapes) -> Result<C, ModelError>,
    ) -> Result<Option<Self>, ModelError> {
        let Some(map) = map else { return Ok(None) };
        let config = read(&map.names())?;
        Ok(Some(Self { config: Arc::new(config), map }))
    }
}

/// The sizes of a denoising network, whatever its family.
pub trait NetworkConfig: Any + Debug + Send + Sync {
    /// Key and shape of every tensor that the network takes, in the order of use.
    ///
    /// # Errors
    /// When the sizes contradict each other.
    fn tensors(&self) -> Result<TensorShapes, ModelError>;

    /// Builds the network over its weights. `told`: what it is told beside latent, level and prompt, where the family says
    /// something else than the network's shape does.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    fn init(&self, weights: &ModelWeights, told: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError>;

    /// Its size in words, for messages: `320 wide`.
    fn describe(&self) -> String;
}

impl dyn NetworkConfig {
    /// These sizes as those of a certain network, if they are.
    pub fn as_a<C: NetworkConfig>(&self) -> Option<&C> {
        (self as &dyn Any).downcast_ref()
    }
}

/// A kind of denoising network: several families may share one.
pub struct NetworkKind {
    /// With its article, for messages: `a UNet`.
    pub name: &'static str,
    /// What a file without one lacks, for messages.
    pub probe: &'static str,
    /// The network among the tensors of a file, with a checkpoint's prefix or without; `None` when there is none.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when it starts like one but its shapes make no sense.
    pub find: fn(&TensorShapes) -> Result<Option<FoundNetwork>, ModelError>,
}

impl Debug for NetworkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
