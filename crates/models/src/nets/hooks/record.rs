//! How much each place of the middle is attended to, recorded for self-attention guidance.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

/// Where a pass leaves its record of attention for whoever asked for it.
#[derive(Debug, Default)]
pub struct AttentionRecorder {
    record: Mutex<Option<AttentionRecord>>,
}

/// The attention of one pass.
#[derive(Debug, Clone)]
pub(crate) struct AttentionRecord {
    /// Sum over all queries of the weight of each place, mean over heads: `[batch, rows · columns]`.
    pub(crate) weights: Tensor<2>,
    /// Rows and columns of the map.
    pub(crate) sides: [usize; 2],
}

impl AttentionRecorder {
    pub(crate) fn set(&self, record: AttentionRecord) {
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// Keeps only some items of the batch.
    pub(crate) fn narrow(&self, start: usize, items: usize) {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = record.as_mut() {
            record.weights = record.weights.clone().narrow(0, start, items);
        }
    }

    pub(crate) fn take(&self) -> Option<AttentionRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
