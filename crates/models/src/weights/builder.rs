//! Where a network under construction gets its weights from (candle's `VarBuilder`).
//!
//! A network is laid out twice: once over nothing, which yields the list of tensors it needs, and then, when that
//! list was found complete, over the file. So an error names every wrong tensor and not just the first.

use std::{cell::RefCell, sync::Arc};

use kiln_memory::{Budget, ComputedSource, TensorShapes, Weight, Weights};

use super::model_weights::ModelWeights;
use crate::error::{ModelError, TensorMismatch, TensorMismatches};

/// Hands out weights by key.
pub struct WeightBuilder<'a> {
    mode: Mode<'a>,
}

enum Mode<'a> {
    /// Gives out handles without data and lists what was asked for.
    List {
        tensors: RefCell<TensorShapes>,
        budget: Arc<Budget>,
    },
    Weights(&'a Weights),
}

impl<'a> WeightBuilder<'a> {
    /// The names and shapes that `new` takes, in its order: the order of use.
    ///
    /// # Errors
    /// Of `new`.
    pub fn list_tensors<N>(
        new: impl FnOnce(&WeightBuilder<'_>) -> Result<N, ModelError>,
    ) -> Result<TensorShapes, ModelError> {
        let mode = Mode::List { tensors: RefCell::default(), budget: Budget::unlimited("list of tensors") };
        let wb = WeightBuilder { mode };
        new(&wb)?;
        match wb.mode {
            Mode::List { tensors, .. } => Ok(tensors.into_inner()),
            Mode::Weights(_) => Ok(TensorShapes::default()),
        }
    }

    /// Builds `network` over `weights` after checking that every tensor is there in its shape.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape; those of `new`.
    pub fn build<N>(
        network: &str,
        weights: &'a ModelWeights,
        new: impl Fn(&WeightBuilder<'_>) -> Result<N, ModelError>,
    ) -> Result<N, ModelError> {
        let faults = compare(&Self::list_tensors(&new)?, weights);
        if !faults.is_empty() {
            let network = format!("{network} of {}", weights.weights().source().label());
            return Err(ModelError::Weights { network, faults: TensorMismatches(faults) });
        }
        let built = new(&WeightBuilder { mode: Mode::Weights(weights.weights()) })?;
        for tensor in weights.unused() {
            tracing::debug!(network, tensor, "a tensor that this network has no use for");
        }
        Ok(built)
    }

    /// The weight under `key`.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, key: &str, shape: &[usize]) -> Result<Weight, ModelError> {
        match &self.mode {
            Mode::Weights(weights) => Ok(weights.weight(key).map_err(kiln_memory::SourceError::from)?),
            Mode::List { tensors, budget } => {
                tensors.borrow_mut().insert(key, shape);
                let nothing = ComputedSource::new("nothing", [(key, shape.to_vec())], |_, _, _| {});
                let weights = Weights::new(nothing, "list of tensors", budget);
                Ok(weights.weight(key).map_err(kiln_memory::SourceError::from)?)
            }
        }
    }
}

fn compare(expected: &TensorShapes, weights: &ModelWeights) -> Vec<TensorMismatch> {
    let mut faults = Vec::new();
    for (key, shape) in expected.iter() {
        let found = weights.weights().info(key).map(|info| info.shape.as_slice());
        if found != Some(shape) {
            let tensor = weights.map().name_in_file(key);
            faults.push(TensorMismatch { tensor, expected: shape.to_vec(), found: found.map(<[usize]>::to_vec) });
        }
    }
    faults
}
