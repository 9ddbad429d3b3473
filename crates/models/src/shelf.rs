//! Where a network under construction takes its weights from, and the account of what it took.
//!
//! A network is laid out twice: once over nothing, which yields the list of tensors it needs, and then, when that
//! list was found complete, over the file. So an error names every tensor at fault and not just the first.

use std::{cell::RefCell, sync::Arc};

use kiln_memory::{Budget, ComputedSource, TensorShapes, Weight, Weights};

use crate::{
    ModelError,
    error::{TensorMismatch, TensorMismatches},
    view::ModelWeights,
};

/// Hands out weights by key.
pub(crate) struct WeightBuilder<'a> {
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// Gives out handles without data and notes what was asked for.
    Survey {
        taken: RefCell<TensorShapes>,
        budget: Arc<Budget>,
    },
    Weights(&'a Weights),
}

impl<'a> WeightBuilder<'a> {
    /// The names and shapes that `new` takes.
    pub(crate) fn survey<N>(
        new: impl FnOnce(&WeightBuilder<'_>) -> Result<N, ModelError>,
    ) -> Result<TensorShapes, ModelError> {
        let kind = Kind::Survey { taken: RefCell::default(), budget: Budget::unlimited("survey") };
        let shelf = WeightBuilder { kind };
        new(&shelf)?;
        match shelf.kind {
            Kind::Survey { taken, .. } => Ok(taken.into_inner()),
            Kind::Weights(_) => Ok(TensorShapes::default()),
        }
    }

    /// Builds `network` over `keyed` after checking that every tensor is there in its shape.
    pub(crate) fn build<N>(
        network: &str,
        keyed: &'a ModelWeights,
        new: impl Fn(&WeightBuilder<'_>) -> Result<N, ModelError>,
    ) -> Result<N, ModelError> {
        let faults = compare(&Self::survey(&new)?, keyed);
        if !faults.is_empty() {
            let network = format!("{network} of {}", keyed.weights().source().label());
            return Err(ModelError::Weights { network, faults: TensorMismatches(faults) });
        }
        let built = new(&WeightBuilder { kind: Kind::Weights(keyed.weights()) })?;
        for tensor in keyed.unused() {
            tracing::debug!(network, tensor, "a tensor that this network has no use for");
        }
        Ok(built)
    }

    /// The weight under `key`.
    pub(crate) fn take(&self, key: &str, shape: &[usize]) -> Result<Weight, ModelError> {
        match &self.kind {
            Kind::Weights(weights) => Ok(weights.weight(key).map_err(kiln_memory::SourceError::from)?),
            Kind::Survey { taken, budget } => {
                taken.borrow_mut().insert(key, shape);
                let nothing = ComputedSource::new("nothing", [(key, shape.to_vec())], |_, _, _| {});
                let weights = Weights::new(nothing, "survey", budget);
                Ok(weights.weight(key).map_err(kiln_memory::SourceError::from)?)
            }
        }
    }
}

impl From<kiln_memory::SourceError> for ModelError {
    fn from(error: kiln_memory::SourceError) -> Self {
        Self::Memory(error.into())
    }
}

fn compare(expected: &TensorShapes, keyed: &ModelWeights) -> Vec<TensorMismatch> {
    let mut faults = Vec::new();
    for (key, shape) in expected.iter() {
        let found = keyed.weights().info(key).map(|info| info.shape.as_slice());
        if found != Some(shape) {
            let tensor = keyed.map().name_in_file(key);
            faults.push(TensorMismatch { tensor, expected: shape.to_vec(), found: found.map(<[usize]>::to_vec) });
        }
    }
    faults
}
