//! Disks that let one wait, for tests: by the path of a file. Without the feature `testing` there are none.

use std::{ops::Range, path::Path, sync::Arc};

/// Called before bytes of a range come from a disk, on the thread that waits for them.
pub(super) type Delay = Arc<dyn Fn(Range<usize>) + Send + Sync>;

#[cfg(feature = "testing")]
mod table {
    use super::Delay;
    use std::{
        path::{Path, PathBuf},
        sync::{Mutex, MutexGuard, PoisonError},
    };

    static DISKS: Mutex<Vec<(PathBuf, Delay)>> = Mutex::new(Vec::new());

    pub(super) fn disks() -> MutexGuard<'static, Vec<(PathBuf, Delay)>> {
        DISKS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(path: &Path) -> Option<Delay> {
        disks().iter().find(|(slow, _)| slow == path).map(|(_, delay)| delay.clone())
    }
}

/// What lets readers of this path wait.
#[cfg(feature = "testing")]
pub(super) fn delay_of(path: &Path) -> Option<Delay> {
    table::find(path)
}

#[cfg(not(feature = "testing"))]
pub(super) fn delay_of(_: &Path) -> Option<Delay> {
    None
}

/// A disk under one path that lets readers wait, for files that are opened while this lives.
#[cfg(feature = "testing")]
#[derive(Debug)]
#[must_use = "dropping it makes the disk as fast as it is"]
pub struct SlowDisk {
    path: std::path::PathBuf,
}

#[cfg(feature = "testing")]
impl SlowDisk {
    /// Calls `delay` with the bytes that are asked for, before they come. It may never return.
    pub fn under(path: impl Into<std::path::PathBuf>, delay: impl Fn(Range<usize>) + Send + Sync + 'static) -> Self {
        let path = path.into();
        table::disks().push((path.clone(), Arc::new(delay)));
        Self { path }
    }
}

#[cfg(feature = "testing")]
impl Drop for SlowDisk {
    fn drop(&mut self) {
        table::disks().retain(|(path, _)| *path != self.path);
    }
}
