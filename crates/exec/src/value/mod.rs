//! What travels over links: values, lists of them, payloads, and how Rust types become either.
//!
//! Knows nothing of nodes, graphs or runs.

mod convert;
pub mod kind;
mod list;
mod object;
mod single;

pub use self::convert::{Any, Combo, FromValue, IntoValue, List, OrBlock};
pub use self::kind::LinksInto;
pub use self::list::Values;
pub use self::object::Object;
pub(crate) use self::object::storage_of;
pub use self::single::{Blocker, Value};
