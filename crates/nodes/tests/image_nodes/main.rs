//! Nodes on images whose numbers are those of other programs, on folders of images and texts, and on animations.
//!
//! `data/image_nodes.json` was made by Pillow 13, kornia 0.9, NumPy 2 and torch 2.6 from the images of `bench` and the formulas
//! of ComfyUI's nodes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod animations;
mod bench;
#[path = "../common/mod.rs"]
mod common;
mod datasets;
mod drawings;
mod numbers;
