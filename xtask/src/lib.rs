//! The project's own checks, run as a test and by `cargo run -p xtask -- tidy`.
//!
//! They guard what a compiler does not: which crate may know which ([`layering`]), how long a
//! file may grow and where `unsafe` may stand ([`tidy`]), and whether a picture is the one that was
//! expected ([`picture`]).
//!
//! ```
//! // The rules are data; ARCHITECTURE.md explains them.
//! let exec = xtask::layering::RULES.iter().find(|rule| rule.package == "kiln-exec").unwrap();
//! assert!(exec.must_not_reach.contains(&"burn"));
//! ```

pub mod layering;
pub mod picture;
pub mod tidy;

use std::path::PathBuf;

/// The root of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
