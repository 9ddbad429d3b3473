//! The table of families that files are looked up in.

use kiln_memory::TensorShapes;

use super::{
    found::{FoundNetwork, NetworkConfig, NetworkKind},
    row::Family,
    text::TextEncoderKind,
};
use crate::error::ModelError;

/// The families that are known, in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Families {
    rows: Vec<Family>,
}

impl Families {
    /// These rows, in this order.
    pub fn new(rows: impl IntoIterator<Item = Family>) -> Self {
        Self { rows: rows.into_iter().collect() }
    }

    /// With one more row, asked before all others.
    #[must_use]
    pub fn with(mut self, row: Family) -> Self {
        self.rows.insert(0, row);
        self
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = &Family> {
        self.rows.iter()
    }

    /// The denoising network among the tensors of a file, with its kind. Each kind is asked once.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when one starts like a known network but its shapes make no sense.
    pub fn network(&self, names: &TensorShapes) -> Result<Option<(&'static NetworkKind, FoundNetwork)>, ModelError> {
        let mut asked: Vec<&str> = Vec::new();
        for row in &self.rows {
            let kind = row.network;
            if asked.contains(&kind.name) {
                continue;
            }
            asked.push(kind.name);
            if let Some(found) = (kind.find)(names)? {
                return Ok(Some((kind, found)));
            }
        }
        Ok(None)
    }

    /// The family of a network of that kind with such text encoders beside it.
    pub fn family(&self, kind: &NetworkKind, config: &dyn NetworkConfig, roles: &[TextEncoderKind]) -> Option<Family> {
        self.rows.iter().find(|row| row.network.name == kind.name && (row.suits)(config, roles)).copied()
    }

    /// What a file without a network lacks: the probes of every kind.
    pub fn probes(&self) -> String {
        let mut probes: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !probes.contains(&row.network.probe) {
                probes.push(row.network.probe);
            }
        }
        probes.join(", or ")
    }
}
