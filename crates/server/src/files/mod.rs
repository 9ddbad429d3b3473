//! Files that clients name: where their names lead, what is sent, what is stored. Knows folders and bytes, no request.

pub(crate) mod listing;
pub(crate) mod mask;
pub(crate) mod media;
pub(crate) mod packages;
pub(crate) mod place;
pub(crate) mod stamp;
pub(crate) mod store;
pub(crate) mod thumbnail;
pub(crate) mod users;
