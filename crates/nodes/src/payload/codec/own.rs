//! A payload as the type that its codec is for. Knows no payload.

use kiln_exec::{CodecError, Object};

/// The payload as the type that the codec is for. Another crate's type of the same name is refused.
pub(super) fn own<T: Object>(object: &dyn Object) -> Result<&T, CodecError> {
    let foreign = || CodecError::unencodable(object.socket_type(), "it is another type of the same name");
    object.downcast_ref().ok_or_else(foreign)
}
