//! A device that is lost with everything on it, and the books of the one that takes its place.
//!
//! Whoever notices says so, and its own work fails. The next acquisition asks the provider for the device again; then
//! every model gets a new range with nothing in it. What is pinned on the old device keeps its range until it is
//! released.

use super::{
    inner::Inner,
    state::{Device, Eviction, State, Unit, VbarState},
};
use crate::provider::{Provider, ProviderError};
use std::sync::Arc;

impl<P: Provider> Inner<P> {
    /// The device is gone: nothing on it is valid any more.
    pub(super) fn lose(&self) {
        let mut state = self.lock();
        if state.device == Device::Here {
            state.device = Device::Lost;
            state.losses += 1;
        }
        for vbar in state.vbars.iter_mut().flatten() {
            vbar.units.iter_mut().for_each(|unit| unit.key = None);
        }
    }

    /// Makes sure that the device is there, having it back if it was lost.
    ///
    /// # Errors
    /// [`ProviderError::DeviceLost`] as long as it is gone.
    pub(super) fn revive(&self) -> Result<(), ProviderError> {
        {
            let mut state = self.lock();
            match state.device {
                Device::Here => return Ok(()),
                Device::Returning => return Err(ProviderError::DeviceLost),
                Device::Lost => state.device = Device::Returning,
            }
        }
        let moved = self.provider.recover().and_then(|()| self.reserve_again());
        let mut state = self.lock();
        state.device = if moved.is_ok() { Device::Here } else { Device::Lost };
        let (leaving, old) = moved.map(|regions| state.move_to(regions)).map_err(|_| ProviderError::DeviceLost)?;
        drop(state);
        self.finish(leaving);
        for vbar in old {
            self.reap(vbar);
        }
        Ok(())
    }

    /// New ranges for all living models, by index.
    fn reserve_again(&self) -> Result<Vec<(usize, P::Region)>, ProviderError> {
        let wanted: Vec<(usize, usize)> = {
            let state = self.lock();
            let living = state.vbars.iter().enumerate().filter_map(|(id, vbar)| vbar.as_ref().map(|vbar| (id, vbar)));
            living.filter(|(_, vbar)| !vbar.dead).map(|(id, vbar)| (id, vbar.reserved * state.page)).collect()
        };
        wanted.into_iter().map(|(id, bytes)| Ok((id, self.provider.reserve(bytes)?))).collect()
    }
}

impl<R: Copy> State<R> {
    /// Gives each model its new range. What was on the old one leaves at once, or when it is released.
    fn move_to(&mut self, regions: Vec<(usize, R)>) -> (Vec<Eviction<R>>, Vec<usize>) {
        let (mut leaving, mut left) = (Vec::new(), Vec::new());
        for (old, region) in regions {
            let Some(vbar) = self.vbar_mut(old) else { continue };
            let units = vbar.units.iter().map(|unit| Unit::absent(unit.pages.clone(), unit.bytes)).collect();
            let name = vbar.name.clone();
            let mut new = VbarState::new(name, vbar.account.clone(), region, vbar.reserved, Arc::clone(&vbar.index));
            (new.units, new.counters, new.prioritised, new.dead) = (units, vbar.counters, vbar.prioritised, vbar.dead);
            new.watermark = new.units.len();
            (vbar.dead, vbar.index) = (true, Arc::default());
            let id = self.insert(new);
            self.priority.iter_mut().filter(|b| **b == old).for_each(|b| *b = id);
            leaving.extend(self.evict_all(old));
            left.push(old);
        }
        (leaving, left)
    }
}
