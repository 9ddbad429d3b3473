//! The ComfyUI node set by ComfyUI's names, image files and model folders.
