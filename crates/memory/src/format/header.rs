//! What a parser finds in a file: names with their checked places, and metadata. Knows no format.

use super::{info::TensorInfo, scattered::Scattered};
use indexmap::IndexMap;

/// Names with their checked ranges (in bytes from the start of the file), and the free-form metadata.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) tensors: IndexMap<String, TensorInfo>,
    pub(crate) metadata: IndexMap<String, String>,
    /// Where those tensors are whose numbers don't follow each other in the file.
    pub(crate) scattered: IndexMap<String, Scattered>,
}
