//! The size of a latent cell.

/// Pixels per latent cell and side.
pub(crate) const CELL: usize = 8;
