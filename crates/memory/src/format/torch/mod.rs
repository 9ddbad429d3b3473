//! PyTorch's files: a pickle that names tensors, and raw storages that hold their numbers. Reads tensors and plain values;
//! runs no code of the file.
//!
//! `archive` is the zip form of torch 1.6 and later, `legacy` the stream of before. Both give a pickle and places of
//! storages; `state` finds the names in the pickle, `tensor` what each is, `places` checks that against the storages.

mod archive;
mod legacy;
mod number;
mod origin;
mod places;
mod state;
mod tensor;

pub(super) use archive::parse as parse_archive;
pub(super) use legacy::{begins as begins_legacy, parse as parse_legacy};
