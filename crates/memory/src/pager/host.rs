//! The pager of the host's memory: one per budget, made when the first weights need it.

use super::{Inner, Pager};
use crate::{Budget, HostVm};
use std::sync::Arc;

/// The residency of decoded and patched weights in the host's memory.
pub type HostPager = Pager<HostVm>;

impl HostPager {
    /// The pager that all weights of this budget share. It lives as long as anyone holds it or its weights; what it may
    /// keep is what the budget leaves it.
    pub fn of(budget: &Arc<Budget>) -> Self {
        let mut home = budget.home();
        if let Some(inner) = home.upgrade().and_then(|any| any.downcast::<Inner<HostVm>>().ok()) {
            return Self { inner };
        }
        let pager = Self::new(HostVm::new(), u64::MAX);
        let inner: Arc<dyn std::any::Any + Send + Sync> = pager.inner.clone();
        *home = Arc::downgrade(&inner);
        drop(home);
        budget.add_reclaimer(Arc::downgrade(&pager.reclaimer()));
        pager
    }
}
