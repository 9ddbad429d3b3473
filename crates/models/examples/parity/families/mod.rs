//! Folders of one kind of families: their networks, autoencoders, schedules and files.

pub mod common;
pub mod loras;
mod qwen_sd3;
mod video_vae;

use crate::case::{Folder, Run};

/// Who runs a file of a folder whose files mean something of their own, if it is one of ours.
pub fn case(folder: &Folder, file: &str) -> Option<Run> {
    let lists = |name: &str| folder.files().any(|listed| listed == name);
    if lists("run_sd3m.safetensors") {
        return qwen_sd3::case(file);
    }
    video_vae::case(file)
}
