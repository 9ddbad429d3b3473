//! The project's own checks, run as a test and by `cargo run -p xtask -- tidy`.
//!
//! They guard what a compiler does not: which crate may know which ([`layering`]), which file of a crate may import
//! which ([`imports`], by the order in [`wings`]), how long files and functions may grow and where `unsafe` may stand
//! ([`tidy`]), and whether a picture is the one that was expected ([`picture`]), whether a crate's page
//! names its features ([`features`]). [`exports`] counts what a crate shows.
//!
//! ```
//! // The rules are data; ARCHITECTURE.md explains them.
//! let exec = xtask::layering::RULES.iter().find(|rule| rule.package == "kiln-exec").unwrap();
//! assert!(exec.must_not_reach.contains(&"burn"));
//! ```

pub mod exports;
pub mod features;
pub mod imports;
pub mod layering;
pub mod lengths;
pub mod mentions;
pub mod modules;
pub mod names;
pub mod picture;
mod syntax;
pub mod tidy;
pub mod wings;
pub mod workspace;
