//! An app whose only dependency is `kiln-exec`.
#![cfg(test)]

use kiln_exec as engine;

#[path = "../../shared/attributes.rs"]
mod attributes;
