//! A device that is lost with everything on it, and the books of the one that takes its place.
//!
//! Whoever notices says so, and its own work fails. The next acquisition asks the provider for the device again; then
//! every model gets a new range with nothing in it. What is pinned on the old device keeps its range until it is
//! released.

use super::{
    Inner,
    state::{Bar, Device, Leave, State, Unit},
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
        for bar in state.bars.iter_mut().flatten() {
            bar.units.iter_mut().for_each(|unit| unit.key = None);
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
        for bar in old {
            self.reap(bar);
        }
        Ok(())
    }

    /// New ranges for all living models, by index.
    fn reserve_again(&self) -> Result<Vec<(usize, P::Region)>, ProviderError> {
        let wanted: Vec<(usize, usize)> = {
            let state = self.lock();
            let living = state.bars.iter().enumerate().filter_map(|(id, bar)| bar.as_ref().map(|bar| (id, bar)));
            living.filter(|(_, bar)| !bar.dead).map(|(id, bar)| (id, bar.reserved * state.page)).collect()
        };
        wanted.into_iter().map(|(id, bytes)| Ok((id, self.provider.reserve(bytes)?))).collect()
    }
}

impl<R: Copy> State<R> {
    /// Gives each model its new range. What was on the old one leaves at once, or when it is released.
    fn move_to(&mut self, regions: Vec<(usize, R)>) -> (Vec<Leave<R>>, Vec<usize>) {
        let (mut leaving, mut left) = (Vec::new(), Vec::new());
        for (old, region) in regions {
            let Some(bar) = self.bar_mut(old) else { continue };
            let units = bar.units.iter().map(|unit| Unit::absent(unit.pages.clone(), unit.bytes)).collect();
            let name = bar.name.clone();
            let mut new = Bar::new(name, bar.account.clone(), region, bar.reserved, Arc::clone(&bar.home));
            (new.units, new.counters, new.prioritised, new.dead) = (units, bar.counters, bar.prioritised, bar.dead);
            new.watermark = new.units.len();
            (bar.dead, bar.home) = (true, Arc::default());
            let id = self.settle(new);
            self.priority.iter_mut().filter(|b| **b == old).for_each(|b| *b = id);
            leaving.extend(self.bury(old));
            left.push(old);
        }
        (leaving, left)
    }
}
