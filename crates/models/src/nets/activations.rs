//! A tap on a forward pass: modules pass their outputs by name to whoever records them.
//!
//! Used by tests that compare activations; without a recorder it costs nothing.

use burn::tensor::Tensor;

/// Receives a module's name, the shape of its output and the output itself, flattened.
pub type ActivationFn<'a> = dyn Fn(&str, &[usize], Tensor<1>) + 'a;

/// Handed down a forward pass; `ActivationTap::default()` records nothing.
#[derive(Clone, Copy, Default)]
pub struct ActivationTap<'a> {
    recorder: Option<&'a ActivationFn<'a>>,
}

impl<'a> ActivationTap<'a> {
    /// Passes every named output to `recorder`.
    pub fn new(recorder: &'a ActivationFn<'a>) -> Self {
        Self { recorder: Some(recorder) }
    }

    /// Whether somebody records: fused operators then compute their parts one by one.
    pub(crate) fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    pub(crate) fn record<const D: usize>(&self, path: &str, x: &Tensor<D>) {
        if let Some(recorder) = self.recorder {
            let shape = x.dims();
            recorder(path, &shape, x.clone().reshape([shape.iter().product::<usize>()]));
        }
    }

    pub(crate) fn record_part<const D: usize>(&self, path: &str, part: &str, x: &Tensor<D>) {
        if self.recorder.is_some() {
            self.record(&format!("{path}.{part}"), x);
        }
    }
}

impl std::fmt::Debug for ActivationTap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.recorder.is_some() { "ActivationTap(on)" } else { "ActivationTap(off)" })
    }
}
