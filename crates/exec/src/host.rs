//! The host: services that the embedding program lends to nodes. Model folders, memory, the output folder.
//!
//! One value per type, no globals: two engines in one process may have different hosts.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::error::NodeError;

/// A typed map of shared services.
///
/// ```
/// struct Folders { output: std::path::PathBuf }
/// let host = kiln_exec::Host::new().with(Folders { output: "output".into() });
/// assert!(host.get::<Folders>().is_some());
/// ```
#[derive(Clone, Default)]
pub struct Host {
    services: HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>,
}

impl Host {
    /// A host without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service, or replaces the one of the same type.
    pub fn with<T: Send + Sync + 'static>(self, service: T) -> Self {
        self.with_shared(Arc::new(service))
    }

    /// Adds a service that others hold as well.
    pub fn with_shared<T: Send + Sync + 'static>(mut self, service: Arc<T>) -> Self {
        self.services.insert(TypeId::of::<T>(), (type_name::<T>(), service));
        self
    }

    /// The service of type `T`.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, service) = self.services.get(&TypeId::of::<T>())?;
        Arc::clone(service).downcast().ok()
    }

    /// The service of type `T`, or an error that says what the embedding program forgot.
    ///
    /// # Errors
    /// When no such service was given to the engine.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, NodeError> {
        self.get().ok_or_else(|| {
            let name = type_name::<T>();
            NodeError::new(format!("the host lends no `{name}`; give one to the engine with `Host::with`"))
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.services.values().map(|(name, _)| name)).finish()
    }
}
