//! The texts that families put around a prompt before it is tokenized. `{}` stands for the prompt.
//!
//! Sources: the published system prompts of FLUX.2, Z-Image, Qwen-Image and Qwen-Image-Edit.

/// FLUX.2's: Mistral is told to reason about image descriptions.
pub const FLUX2: &str = "[SYSTEM_PROMPT]You are an AI that reasons about image descriptions. You give structured responses focusing on object relationships, object\nattribution and actions without speculation.[/SYSTEM_PROMPT][INST]{}[/INST]";

/// Z-Image's: a user's message and the start of an answer.
pub const Z_IMAGE: &str = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n";

/// Qwen-Image's: the image is to be described.
pub const QWEN_IMAGE: &str = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n";

/// Qwen-Image-Edit's: images are to be changed as the user says.
pub const QWEN_EDIT: &str = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n";

/// Where an image goes in a prompt for Qwen2.5-VL.
pub const VISION_MARK: &str = "<|vision_start|><|image_pad|><|vision_end|>";

/// The template with `prompt` in it.
pub fn fill(template: &str, prompt: &str) -> String {
    template.replacen("{}", prompt, 1)
}

/// What Qwen2.5-VL is given for a prompt: the text itself where it is a conversation already, else in `template`; without
/// one in the template of its situation, which has a place for one image if there are `images`.
pub fn qwen(prompt: &str, template: Option<&str>, images: bool) -> String {
    if prompt.starts_with("<|im_start|>") || prompt.starts_with("<|start_header_id|>") {
        return prompt.to_owned();
    }
    match template {
        Some(template) => fill(template, prompt),
        None if images => fill(QWEN_EDIT, &format!("{VISION_MARK}{prompt}")),
        None => fill(QWEN_IMAGE, prompt),
    }
}
