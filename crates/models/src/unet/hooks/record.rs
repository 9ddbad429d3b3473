//! How much each place of the middle is looked at, noted for self-attention guidance.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

/// A note that a pass leaves for whoever asked for it.
#[derive(Debug, Default)]
pub struct AttentionRecord {
    noted: Mutex<Option<Noted>>,
}

/// What was noted in one pass.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    /// Sum over all queries of the weight of each place, mean over heads: `[batch, rows · columns]`.
    pub(crate) weights: Tensor<2>,
    /// Rows and columns of the map.
    pub(crate) sides: [usize; 2],
}

impl AttentionRecord {
    pub(crate) fn note(&self, noted: Noted) {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(noted);
    }

    /// Leaves only some items of the batch.
    pub(crate) fn keep(&self, start: usize, items: usize) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(noted) = noted.as_mut() {
            noted.weights = noted.weights.clone().narrow(0, start, items);
        }
    }

    pub(crate) fn take(&self) -> Option<Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
