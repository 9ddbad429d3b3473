//! Sizes of a wall, read off names and shapes.

use std::sync::Arc;

use kiln_memory::TensorShapes;
use kiln_models::{ModelError, ModelWeights, Network, SideInputs, WeightBuilder, family::NetworkConfig};

use super::wall::Wall;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WallConfig {
    pub(crate) channels: usize,
    pub(crate) width: usize,
    pub(crate) bricks: usize,
}

impl WallConfig {
    pub(crate) fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        match names.shape("mortar_in.weight") {
            None => Ok(None),
            Some([width, channels]) => {
                Ok(Some(Self { channels: *channels, width: *width, bricks: names.count("bricks.") }))
            }
            Some(found) => Err(ModelError::Unrecognised {
                what: "a wall".to_owned(),
                detail: format!("`mortar_in.weight` is {found:?}, expected [width, channels]"),
            }),
        }
    }
}

impl NetworkConfig for WallConfig {
    fn tensors(&self) -> Result<TensorShapes, ModelError> {
        WeightBuilder::list_tensors(|wb| Wall::new(*self, wb))
    }

    fn init(&self, weights: &ModelWeights, _: Option<SideInputs>) -> Result<Arc<dyn Network>, ModelError> {
        Ok(Arc::new(WeightBuilder::build("wall", weights, |wb| Wall::new(*self, wb))?))
    }

    fn describe(&self) -> String {
        format!("{} bricks", self.bricks)
    }
}
