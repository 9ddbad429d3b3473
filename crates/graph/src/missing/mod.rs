//! Classes that a graph names and nobody has: all of them at once, and where each may be had.

mod classes;
mod packs;

pub use self::classes::{MissingClass, MissingClasses};
