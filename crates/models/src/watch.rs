//! A window into a forward pass: modules show their outputs by name to whoever looks.
//!
//! Used by tests that compare activations; without a watcher it costs nothing.

use burn::tensor::Tensor;

/// Receives a module's name, the shape of its output and the output itself, flattened.
pub type ActivationTapped<'a> = dyn Fn(&str, &[usize], Tensor<1>) + 'a;

/// Passed down a forward pass; `ActivationTap::default()` looks at nothing.
#[derive(Clone, Copy, Default)]
pub struct ActivationTap<'a> {
    watcher: Option<&'a ActivationTapped<'a>>,
}

impl<'a> ActivationTap<'a> {
    /// Shows every named output to `watcher`.
    pub fn new(watcher: &'a ActivationTapped<'a>) -> Self {
        Self { watcher: Some(watcher) }
    }

    /// Whether somebody looks: fused operators then show their parts.
    pub(crate) fn is_on(&self) -> bool {
        self.watcher.is_some()
    }

    pub(crate) fn see<const D: usize>(&self, path: &str, x: &Tensor<D>) {
        if let Some(watcher) = self.watcher {
            let shape = x.dims();
            watcher(path, &shape, x.clone().reshape([shape.iter().product::<usize>()]));
        }
    }

    pub(crate) fn see_in<const D: usize>(&self, path: &str, part: &str, x: &Tensor<D>) {
        if self.watcher.is_some() {
            self.see(&format!("{path}.{part}"), x);
        }
    }
}

impl std::fmt::Debug for ActivationTap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.watcher.is_some() { "Watch(on)" } else { "Watch(off)" })
    }
}
