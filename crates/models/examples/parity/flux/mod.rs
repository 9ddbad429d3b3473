//! Cases of Flux.1, Flux.2 and Z-Image: a folder that holds `net_flux1.safetensors`.

mod autoencoders;
pub mod common;
mod files;
mod lists;
mod networks;
mod pieces;
mod runs;
mod schedules;

use crate::case::{Folder, Run};
use crate::families::loras;

/// Whether a folder holds these families' numbers.
pub fn is_here(folder: &Folder) -> bool {
    folder.files().any(|file| file == "net_flux1.safetensors")
}

/// Who runs a file of such a folder.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "embed.safetensors" => pieces::all,
        "schedules_flux.safetensors" => schedules::all,
        "vae_tiny.safetensors" => autoencoders::tiny,
        "vae_full.safetensors" => autoencoders::full,
        "net_zimage.safetensors" => networks::zimage,
        "fp8.safetensors" => files::fp8,
        "gguf.safetensors" => files::gguf,
        "flux1.gguf" => files::opens,
        "keys_full.json.gz" => lists::keys,
        "detect_full.json" => lists::configurations,
        "sizes_full.json" => lists::sizes,
        "tiny_keys.json" => lists::tiny,
        "latent_rgb.json" => pieces::colours,
        _ if file.starts_with("net_") => networks::flux,
        _ if file.starts_with("run_") => runs::all,
        _ if file.starts_with("fp8_file_") => files::opens,
        _ if file.starts_with("lora_keys_") => loras::keys,
        _ if file.starts_with("lora_") => loras::deltas,
        _ => return None,
    })
}
