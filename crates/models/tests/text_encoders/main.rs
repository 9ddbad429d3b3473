//! The text encoders that aren't CLIP's: their ids, their networks and what they make of prompts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod ids;
