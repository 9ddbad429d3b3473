//! Small nodes of other packs that shared workflows use most, by their exact class names, sockets, defaults and behaviour.
//!
//! They know ComfyUI's own nodes and are known by none. What the editor adds to such a node while it is drawn (a list of
//! LoRAs, sockets that grow) comes in as inputs that the class does not declare.
//!
//! | pack | classes |
//! |---|---|
//! | `kijai/ComfyUI-KJNodes` | `INTConstant`, `FloatConstant`, `BOOLConstant`, `StringConstant`, `StringConstantMultiline`, `ImageResizeKJv2` |
//! | `rgthree/rgthree-comfy` | `Seed (rgthree)`, `Any Switch (rgthree)`, `Power Lora Loader (rgthree)`, `Image Comparer (rgthree)` |
//! | `cubiq/ComfyUI_essentials` | `GetImageSize+` |
//! | `pythongosssss/ComfyUI-Custom-Scripts` | `ShowText\|pysssss` |
//! | `WASasquatch/was-node-suite-comfyui` | `Text Multiline`, `Text Concatenate` |
//! | `Kosinkadink/ComfyUI-VideoHelperSuite` | `VHS_VideoCombine`, as animated GIF, WEBP and PNG |
//! | `city96/ComfyUI-GGUF` | `UnetLoaderGGUF`, `CLIPLoaderGGUF`, `DualCLIPLoaderGGUF` |
//!
//! ```
//! let mut registry = kiln_nodes::registry();
//! kiln_community::register(&mut registry);
//! assert!(registry.get("GetImageSize+").is_some());
//! ```

mod compare;
mod constants;
mod fill;
mod gguf;
mod lora_name;
mod power_lora;
mod resize;
mod seed;
mod size;
mod switch;
mod text;
mod tokens;
mod video;

use kiln_exec::Registry;

/// Adds the nodes of this crate to `registry`.
pub fn register(registry: &mut Registry) {
    constants::register(registry);
    seed::register(registry);
    switch::register(registry);
    text::register(registry);
    size::register(registry);
    compare::register(registry);
    resize::register(registry);
    power_lora::register(registry);
    gguf::register(registry);
    video::register(registry);
}
