//! The loader of models that lie in folders as the library diffusers writes them: a file for each part.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError};
use kiln_models::{DiffusionModel, TextEncoders};

use super::fingerprint::stamps;
use crate::files::{FileError, Folders};
use crate::payload::{Clip, Model, Vae};
use crate::runtime::environment::{CxExt, Environment};

/// The kind of folder.
const KIND: &str = "diffusers";
/// What lies in the folder of a model.
const INDEX: &str = "model_index.json";
/// What networks between images and latents, and in latents, are called; the first that is there counts.
const NETWORKS: [&str; 4] = [
    "diffusion_pytorch_model.fp16.safetensors",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.bin",
    "diffusion_pytorch_model.bin",
];
/// What text encoders are called.
const ENCODERS: [&str; 4] =
    ["model.fp16.safetensors", "model.safetensors", "pytorch_model.fp16.bin", "pytorch_model.bin"];
/// Folders within folders are looked into so far: links may lead in circles.
const DEEPEST: usize = 8;

/// Opens a model that lies in a folder, a file for each part.
#[derive(Node)]
#[node(category = "advanced/loaders/deprecated")]
pub struct DiffusersLoader {
    /// A folder of `diffusers` that holds a `model_index.json`.
    #[input(choices = listed, provides(MODEL = "unet", CLIP = "clip", VAE = "vae"))]
    model_path: String,
}

impl Execute for DiffusersLoader {
    type Output = (Model, Clip, Vae);

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let environment = known.host::<Environment>()?;
        let Some(name) = known.get_as::<String>("model_path") else { return stamps(&[]) };
        stamps(&Parts::of(&name, environment.folders())?.files())
    }

    fn execute(self, cx: &mut Cx) -> Result<(Model, Clip, Vae), NodeError> {
        let environment = cx.environment()?;
        let budget = environment.budget();
        let Parts { unet, vae, encoders } = Parts::of(&self.model_path, environment.folders())?;
        let paths: Vec<&Path> = encoders.iter().map(PathBuf::as_path).collect();
        let text = TextEncoders::open_usual(&paths, budget)?;
        Ok((
            Model::new(DiffusionModel::open_among(environment.families(), &unet, None, budget)?),
            Clip::new(text),
            Vae::new(Arc::new(kiln_models::vae::Vae::open(&vae, budget)?)),
        ))
    }
}

/// The files of a model.
struct Parts {
    unet: PathBuf,
    vae: PathBuf,
    encoders: Vec<PathBuf>,
}

impl Parts {
    fn of(name: &str, folders: &Folders) -> Result<Self, NodeError> {
        let all = models(folders);
        let Some((_, folder)) = all.iter().find(|(listed, _)| listed == name) else {
            let listed = all.iter().map(|(listed, _)| listed.as_str());
            return Err(NodeError::from(FileError::NoSuchModel {
                category: KIND.to_owned(),
                name: name.to_owned(),
                nearest: kiln_graph::nearest(name, listed).map(str::to_owned),
                searched: folders.model_folders(KIND),
            }));
        };
        let encoders = [first(folder, "text_encoder", &ENCODERS)?].into_iter();
        let second = first(folder, "text_encoder_2", &ENCODERS).ok();
        Ok(Self {
            unet: first(folder, "unet", &NETWORKS)?,
            vae: first(folder, "vae", &NETWORKS)?,
            encoders: encoders.chain(second).collect(),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        [&self.unet, &self.vae].into_iter().chain(&self.encoders).cloned().collect()
    }
}

/// The first of these files that lies in a part's folder.
fn first(model: &Path, part: &str, names: &[&str]) -> Result<PathBuf, NodeError> {
    let folder = model.join(part);
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        let names = names.join(", ");
        NodeError::new(format!("`{}` holds no {part}: none of {names} lies in `{}`", model.display(), folder.display()))
    })
}

fn listed(host: &Host) -> Vec<String> {
    let Some(environment) = host.get::<Environment>() else { return Vec::new() };
    models(environment.folders()).into_iter().map(|(name, _)| name).collect()
}

/// Models by their folders' names, relative to the folder of their kind; of one name the first.
fn models(folders: &Folders) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for root in folders.model_folders(KIND) {
        let mut pending = vec![(root.clone(), 0)];
        while let Some((folder, depth)) = pending.pop() {
            let name = folder.strip_prefix(&root).unwrap_or(&folder).to_string_lossy().replace('\\', "/");
            let name = if name.is_empty() { ".".to_owned() } else { name };
            if folder.join(INDEX).is_file() && !found.iter().any(|(known, _)| *known == name) {
                found.push((name, folder.clone()));
            }
            if depth < DEEPEST {
                pending.extend(folders_in(&folder).into_iter().map(|inside| (inside, depth + 1)));
            }
        }
    }
    found.sort();
    found
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
