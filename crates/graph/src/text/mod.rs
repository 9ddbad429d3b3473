//! Text that should be JSON, as it comes from other people's programs. Knows characters, nothing of graphs.

pub(crate) mod encoding;
pub(crate) mod non_finite;
