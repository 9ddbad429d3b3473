//! The pager of the host's memory: one per budget, made when the first weights need it.

use super::inner::{Inner, Pager};
use crate::{budget::Budget, provider::HostVm};
use std::sync::Arc;

/// The residency of decoded and patched weights in the host's memory.
pub type HostPager = Pager<HostVm>;

impl HostPager {
    /// The pager that all weights of this budget share. It lives as long as anyone holds it or its weights; what it may
    /// keep is what the budget leaves it.
    pub fn of(budget: &Arc<Budget>) -> Self {
        let mut slot = budget.pager_slot();
        if let Some(inner) = slot.upgrade().and_then(|any| any.downcast::<Inner<HostVm>>().ok()) {
            return Self { inner };
        }
        let pager = Self::new(HostVm::new(), u64::MAX);
        let inner: Arc<dyn std::any::Any + Send + Sync> = pager.inner.clone();
        *slot = Arc::downgrade(&inner);
        drop(slot);
        budget.add_reclaimer(Arc::downgrade(&pager.reclaimer()));
        pager
    }
}
