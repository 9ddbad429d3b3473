//! Cases of the networks: text encoders, UNet, autoencoder, detection, LoRA, upscalers.

mod detect;
pub mod full;
mod lora;
pub mod recipe;
mod tiny;
mod upscale;

use crate::case::Run;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "tiny_keys.json" => detect::tiny_keys,
        "tiny_vae.safetensors" => tiny::vae,
        "esrgan.safetensors" => upscale::esrgan,
        "taef2.safetensors" => upscale::taef2,
        "lora_math.safetensors" => lora::maths,
        "unet_sd15.safetensors" => full::unet_sd15,
        "vae_sd15.safetensors" => full::vae_sd15,
        "sdxl.safetensors" => full::sdxl_unet,
        _ if is(file, "keys_", ".json") => detect::keys,
        _ if is(file, "detect_", ".json") => detect::configuration,
        _ if is(file, "lora_keys_", ".json") => lora::keys,
        _ if file.starts_with("tiny_clip_") => tiny::clip,
        _ if file.starts_with("tiny_unet_") => tiny::unet,
        _ => return None,
    })
}

fn is(file: &str, start: &str, end: &str) -> bool {
    file.starts_with(start) && file.ends_with(end)
}
