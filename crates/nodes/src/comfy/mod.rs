//! ComfyUI's node classes by topic, under ComfyUI's names.
//!
//! Each topic is a file or a folder and registers its own classes; here stands only the list of topics.

mod classes;
pub mod conditioning;
pub mod controlnet;
pub mod dataset;
pub mod flow;
pub mod gligen;
pub mod hooks;
pub mod hypernetwork;
pub mod image;
pub mod latent;
pub mod loaders;
pub mod logic;
mod looping;
pub mod mask;
pub mod merge;
pub mod model;
pub mod patches;
pub mod primitive;
pub mod sampling;
pub mod seeing;
pub mod text;
pub mod upscale;
pub mod vae;
pub mod video;
pub mod vision;

use kiln_exec::{Engine, Registry};

use crate::payload::codec;
use crate::runtime::environment::Environment;
use crate::runtime::session::Session;

/// A registry with all nodes of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    register(&mut registry);
    registry
}

impl Environment {
    /// An engine with all nodes of this crate that works in this environment: a [`Session`]'s, so that its runs are planned and
    /// accounted for.
    pub fn into_engine(self) -> Engine {
        Session::new(self, registry()).into_engine()
    }
}

/// Adds all nodes of this crate to `registry`, and the codecs of their payloads. Classes of the same names are replaced.
pub fn register(registry: &mut Registry) {
    codec::register(registry);
    loaders::register(registry);
    upscale::register(registry);
    image::register(registry);
    dataset::register(registry);
    vae::register(registry);
    conditioning::register(registry);
    hooks::register(registry);
    vision::register(registry);
    seeing::register(registry);
    video::register(registry);
    controlnet::register(registry);
    gligen::register(registry);
    hypernetwork::register(registry);
    sampling::register(registry);
    model::register(registry);
    patches::register(registry);
    merge::register(registry);
    latent::register(registry);
    mask::register(registry);
    logic::register(registry);
    flow::register(registry);
    looping::register(registry);
    primitive::register(registry);
    text::register(registry);
}
