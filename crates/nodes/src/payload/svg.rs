//! `SVG`: drawings as text. Knows no files.

use std::sync::Arc;

use kiln_exec::object;

/// Drawings, each an SVG document.
#[derive(Clone, Debug)]
pub struct Svg(Arc<Vec<String>>);

object!(Svg, "SVG", |s| s.0.iter().map(|text| text.len() as u64).sum());

impl Svg {
    /// Wraps documents.
    pub fn new(documents: Vec<String>) -> Self {
        Self(Arc::new(documents))
    }

    /// The documents.
    pub fn documents(&self) -> &[String] {
        &self.0
    }
}
