//! The text encoders that aren't CLIP's: their ids, their networks and what they make of prompts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../common"]
mod common {
    pub(crate) mod formats;
    pub(crate) mod tiny;
}
mod files;
mod forms;
mod ids;
mod networks;
