//! The loader of autoencoders: those of the folder `vae`, and the tiny ones of `vae_approx`, in two files or, for clips, in
//! one.

use std::path::PathBuf;
use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::component_label;
use kiln_models::taehv::TaehvVae;
use kiln_models::taesd::{TaesdScale, TinyVae};
use kiln_models::vae3d::VideoVae;

use super::fingerprint::stamps;
use crate::files::{FileError, Folders};
use crate::payload::Vae;
use crate::runtime::environment::{CxExt, Environment};

/// Tiny autoencoders by ComfyUI's names, with the scales of their families' latents.
const TINY: [(&str, TaesdScale); 4] = [
    ("taesd", TaesdScale::SD1),
    ("taesdxl", TaesdScale::SDXL),
    ("taesd3", TaesdScale::SD3),
    ("taef1", TaesdScale::FLUX),
];

/// What files of tiny autoencoders of clips begin with.
const TINY_CLIPS: [&str; 5] = ["taehv", "lighttaew2_2", "lighttaew2_1", "lighttaehy1_5", "taeltx_2"];

/// Where the tiny autoencoders lie.
const APPROXIMATE: &str = "vae_approx";

/// Whether a file of that name is a tiny autoencoder of clips.
fn is_tiny_of_clips(name: &str) -> bool {
    TINY_CLIPS.iter().any(|start| name.starts_with(start))
}

/// Files of the folder `vae`, then the tiny autoencoders of clips, then those of which both halves are there.
fn vaes(host: &Host) -> Vec<String> {
    let Ok(environment) = host.get::<Environment>().ok_or(()) else { return Vec::new() };
    let folders = environment.folders();
    let halves = folders.models(APPROXIMATE);
    let whole = |name: &str| ["encoder", "decoder"].iter().all(|half| half_of(&halves, name, half).is_some());
    let tiny = TINY.iter().filter(|(name, _)| whole(name)).map(|(name, _)| (*name).to_owned());
    let clips = halves.iter().filter(|name| is_tiny_of_clips(name)).cloned();
    folders.models("vae").into_iter().chain(clips).chain(tiny).collect()
}

/// The first file that begins as a half of a tiny autoencoder does.
fn half_of<'n>(names: &'n [String], tiny: &str, half: &str) -> Option<&'n String> {
    let start = format!("{tiny}_{half}.");
    names.iter().find(|name| name.starts_with(&start))
}

/// Where an autoencoder of that name lies.
enum Place {
    File(PathBuf),
    /// Encoder and decoder.
    Halves([PathBuf; 2], TaesdScale),
}

impl Place {
    fn of(name: &str, folders: &Folders) -> Result<Self, FileError> {
        let Some((tiny, scale)) = TINY.iter().find(|(tiny, _)| *tiny == name) else {
            let approximate = is_tiny_of_clips(name) && folders.models(APPROXIMATE).iter().any(|known| known == name);
            return Ok(Self::File(folders.model(if approximate { APPROXIMATE } else { "vae" }, name)?));
        };
        let names = folders.models(APPROXIMATE);
        let half = |half: &str| {
            let missing = format!("{tiny}_{half}.safetensors");
            folders.model(APPROXIMATE, half_of(&names, tiny, half).unwrap_or(&missing))
        };
        Ok(Self::Halves([half("encoder")?, half("decoder")?], *scale))
    }

    fn files(&self) -> &[PathBuf] {
        match self {
            Self::File(file) => std::slice::from_ref(file),
            Self::Halves(files, _) => files,
        }
    }
}

/// Opens an autoencoder that lies in a file of its own, or a tiny one that lies in two.
#[derive(Node)]
#[node(display_name = "Load VAE", category = "loaders")]
pub struct VAELoader {
    /// A file of the folder `vae`, or a tiny autoencoder whose halves lie in `vae_approx`.
    #[input(choices = vaes, provides(VAE = "vae"))]
    vae_name: String,
}

impl Execute for VAELoader {
    type Output = Vae;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let environment = known.host::<Environment>()?;
        let Some(name) = known.get_as::<String>("vae_name") else { return stamps(&[]) };
        stamps(Place::of(&name, environment.folders())?.files())
    }

    fn execute(self, cx: &mut Cx) -> Result<Vae, NodeError> {
        let environment = cx.environment()?;
        let budget = environment.budget();
        match Place::of(&self.vae_name, environment.folders())? {
            Place::Halves([encoder, decoder], scale) => {
                let holder = component_label("vae", &self.vae_name);
                Ok(Vae::new(Arc::new(TinyVae::open([&encoder, &decoder], scale, &holder, budget)?)))
            }
            Place::File(file) => {
                if let Some(tiny) = TinyVae::open_whole(&file, budget)? {
                    return Ok(Vae::new(Arc::new(tiny)));
                }
                if let Some(tiny) = TaehvVae::open(&file, budget)? {
                    return Ok(Vae::new(Arc::new(tiny)));
                }
                if let Some(video) = VideoVae::open(&file, budget)? {
                    return Ok(Vae::new(Arc::new(video)));
                }
                Ok(Vae::new(Arc::new(kiln_models::vae::Vae::open(&file, budget)?)))
            }
        }
    }
}
