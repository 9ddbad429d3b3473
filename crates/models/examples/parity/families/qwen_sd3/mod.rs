//! The folder of Qwen-Image and Stable Diffusion 3.

mod fp8;
mod keys;
mod nets;
mod pieces;
mod runs;
mod schedules;

use crate::case::Run;
use crate::families::loras;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "net_qwen.safetensors" | "net_qwen_2511.safetensors" => nets::qwen_image,
        "keys_full.json.gz" => keys::full,
        "detect_full.json" => keys::detected,
        "sizes_full.json" => keys::sizes,
        "diffusers_keys_sd3.json.gz" => keys::diffusers,
        "embed.safetensors" => pieces::embed,
        "fp8_qwen.safetensors" => fp8::outputs,
        "fp8_qwen_scaled_fp8.safetensors" | "fp8_qwen_metadata.safetensors" => fp8::file,
        "latent_rgb.json" => keys::latents,
        "tiny_keys.json" => keys::tiny,
        "run_qwen.safetensors" => runs::qwen_image,
        "schedules.safetensors" => schedules::schedules,
        _ if file.starts_with("lora_keys_text") => return None,
        _ if file.starts_with("lora_keys_") => loras::keys,
        _ if file.starts_with("lora_") => loras::deltas,
        _ if file.starts_with("net_sd3") => nets::mmdit,
        _ if file.starts_with("run_sd3") => runs::mmdit,
        _ => return None,
    })
}
