//! Upscalers and tiny autoencoders with trained weights, where these are at hand.

use std::path::PathBuf;

use kiln_memory::Budget;
use kiln_models::{taesd::Taesd, upscale::Upscaler};

use super::recipe::{stored, values};
use crate::case::{CaseResult, Folder, Trouble};

const TOLERANCE: f64 = 1e-4;
/// Some 350 layers.
const DEEP: f64 = 1e-3;

/// A file of trained weights: beside the reference, or among the project's own.
pub fn weights(folder: &Folder, name: &str) -> Option<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets");
    let file = format!("{name}.safetensors");
    [folder.path().join("assets"), own].into_iter().map(|at| at.join(&file)).find(|at| at.exists())
}

/// `esrgan`: one tensor per upscaler, named after its file.
pub fn esrgan(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let tensors = folder.tensors(file)?;
    let one = |name: &str| {
        let Some(path) = weights(folder, name) else {
            tensors.note(name);
            return Ok(CaseResult::skipped(name, "its trained weights are not here"));
        };
        let upscaler = Upscaler::open(&path, &Budget::unlimited("parity"))?;
        let found = upscaler.forward(stored(&tensors, "in")?)?.clamp(0.0, 1.0);
        let tolerance = if name.ends_with("x4plus") { DEEP } else { TOLERANCE };
        Ok(CaseResult::compare(name, &values(found)?, &tensors.floats(name)?, tolerance))
    };
    tensors.names().into_iter().filter(|name| *name != "in").map(one).collect()
}

/// `taef2`: an image's latent and back.
pub fn taef2(folder: &Folder, file: &str) -> Result<Vec<CaseResult>, Trouble> {
    let Some(path) = weights(folder, "taef2") else {
        return Ok(vec![CaseResult::skipped("taef2", "its trained weights are not here")]);
    };
    let (tensors, taesd) = (folder.tensors(file)?, Taesd::open(&path, &Budget::unlimited("parity"))?);
    let z = taesd.encode(stored(&tensors, "x")?)?;
    let y = taesd.decode(stored(&tensors, "z")?)?.clamp(0.0, 1.0);
    Ok(vec![
        CaseResult::compare("z", &values(z)?, &tensors.floats("z")?, TOLERANCE),
        CaseResult::compare("y", &values(y)?, &tensors.floats("y")?, TOLERANCE),
    ])
}
