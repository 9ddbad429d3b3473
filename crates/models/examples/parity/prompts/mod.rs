//! Cases of the text encoders that aren't Stable Diffusion's: ids, networks, whole prompts, images among them.

mod encoders;
mod fp8;
mod ids;
mod images;
mod lora;
mod nodes;
mod pieces;
mod sd3;

use crate::case::Run;

/// Who runs a file of the folder, if it is one of ours.
pub fn case(file: &str) -> Option<Run> {
    Some(match file {
        "tokens.json" => ids::flux,
        "tokens_qwen_sd3.json" => ids::qwen_sd3,
        "te_flux1.safetensors" => encoders::flux1,
        "te_flux2.safetensors" => encoders::flux2,
        "te_zimage.safetensors" => encoders::z_image,
        "te_qwen.safetensors" => images::texts,
        "te_qwen_image.safetensors" => images::images,
        "te_sd3.safetensors" => sd3::prompts,
        "fp8_qwen.safetensors" => fp8::outputs,
        "fp8_te_qwen.safetensors" => fp8::input,
        "lora_keys_text_sd3.json.gz" => lora::keys,
        "nodes_qwen.safetensors" => nodes::pictures,
        "embed.safetensors" => pieces::pieces,
        _ => return None,
    })
}
