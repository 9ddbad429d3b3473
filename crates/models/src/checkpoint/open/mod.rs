//! Files that hold one network alone. Each opens by pointer: its header is read and little else.

mod based;
mod controlnet;
mod detector;
mod gligen;
mod hypernetwork;
mod segmenter;
mod style;
mod t2i;
mod taehv;
mod taesd;
mod upscale;
pub(super) mod vae;
mod video_vae;
pub(super) mod vision;
