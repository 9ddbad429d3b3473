//! Memory locked into place, as copies by a device want it. Knows one system call.
#![allow(unsafe_code)]

/// Locks memory into place, and how much of it may be locked: what copies by a device need.
#[derive(Clone, Copy)]
pub(crate) struct PageLock {
    pub(crate) most: u64,
    pub(crate) lock: fn(&mut [f32]) -> bool,
    pub(crate) unlock: fn(&mut [f32]),
}

impl PageLock {
    /// Nothing is locked.
    pub(crate) const NONE: Self = Self { most: 0, lock: |_| false, unlock: |_| {} };

    /// By the system's call, up to `most` bytes. Where the system refuses (`RLIMIT_MEMLOCK`), slots are ordinary memory.
    pub(crate) fn up_to(most: u64) -> Self {
        Self { most, lock: system::lock, unlock: system::unlock }
    }
}

#[cfg(unix)]
mod system {
    use rustix::mm::{mlock, munlock};

    pub(super) fn lock(values: &mut [f32]) -> bool {
        // SAFETY: the range is one of ours, and locking changes no contents.
        unsafe { mlock(values.as_mut_ptr().cast(), size_of_val(values)) }.is_ok()
    }

    pub(super) fn unlock(values: &mut [f32]) {
        // SAFETY: as above.
        _ = unsafe { munlock(values.as_mut_ptr().cast(), size_of_val(values)) };
    }
}

#[cfg(not(unix))]
mod system {
    pub(super) fn lock(_: &mut [f32]) -> bool {
        false
    }

    pub(super) fn unlock(_: &mut [f32]) {}
}
