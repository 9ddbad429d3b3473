//! The pager's invariants, by number: `i01_…` to `i27_…`, each as a sentence. Number 11 is `src/pager/i11.rs` (and, for
//! tensors, `tests/tensors.rs`), number 10 stands beside the code that it is about, in `src/pager/tests.rs`; number 14
//! has a second half in `tests/weights.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod accounting;
mod efficiency;
mod life;
mod liveness;
mod safety;

const PAGE: usize = 4096;
