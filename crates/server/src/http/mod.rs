//! What every route shares: answers and refusals, queries, and what stands around a request.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod around;
pub(crate) mod blocking;
pub(crate) mod body;
pub(crate) mod origin;
pub(crate) mod webhook;
