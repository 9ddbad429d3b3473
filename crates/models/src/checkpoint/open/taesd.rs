//! The file of a tiny autoencoder, or of one half of it.

use std::{path::Path, sync::Arc};

use kiln_memory::{Budget, TensorShapes, TensorSource};

use crate::{
    checkpoint::recognise::not_there,
    error::ModelError,
    nets::taesd::{self, Taesd, TaesdConfig, TaesdScale, TinyVae},
    weights::{ModelWeights, open, owner},
};

impl Taesd {
    /// Opens a file with one half (bare names) or both (`taesd_encoder.`, `taesd_decoder.`).
    ///
    /// # Errors
    /// Of the file, or `ModelError::NotThere` when it holds no tiny autoencoder.
    pub fn open(path: &Path, budget: &Arc<Budget>) -> Result<Self, ModelError> {
        let source = open(path)?;
        let holder = owner("taesd", &*source);
        over(source, path, &holder, budget)
    }
}

impl TinyVae {
    /// Opens two files, one for each direction, that are held by `holder`.
    ///
    /// # Errors
    /// Of the files, or `ModelError::NotThere` when one holds no tiny autoencoder; `ModelError::Unrecognised` when one is
    /// the other direction's.
    pub fn open(
        [encoder, decoder]: [&Path; 2],
        scale: TaesdScale,
        holder: &str,
        budget: &Arc<Budget>,
    ) -> Result<Self, ModelError> {
        let half = |path: &Path, there: fn(&Taesd) -> bool, first: &str| {
            let net = over(open(path)?, path, holder, budget)?;
            let wrong = || ModelError::Unrecognised {
                what: format!("{}: a file of a tiny autoencoder for this direction", path.display()),
                detail: format!("`{first}` is missing"),
            };
            if there(&net) { Ok(Arc::new(net)) } else { Err(wrong()) }
        };
        let encoder = half(encoder, Taesd::encodes, "0.weight")?;
        Ok(Self { encoder, decoder: half(decoder, Taesd::decodes, "1.weight")?, scale })
    }

    /// Opens a file with both directions in the place of a VAE's; `None` when it is another kind of file. What it says of
    /// the scale of latents counts; without a word they are the network's own.
    ///
    /// # Errors
    /// Of the file, and of a tiny autoencoder that is not whole.
    pub fn open_whole(path: &Path, budget: &Arc<Budget>) -> Result<Option<Self>, ModelError> {
        let source = open(path)?;
        if source.info("taesd_decoder.1.weight").is_none() {
            return Ok(None);
        }
        let number = |name: &str, without: f32| match source.info(name) {
            Some(info) if info.elements() == 1 => {
                let mut value = [0.0];
                source.read_f32(name, &mut value)?;
                Ok::<_, ModelError>(value[0])
            }
            _ => Ok(without),
        };
        let scale = TaesdScale { scale: number("vae_scale", 1.0)?, shift: number("vae_shift", 0.0)? };
        let holder = owner("vae", &*source);
        let net = Arc::new(over(source, path, &holder, budget)?);
        Ok(Some(Self { encoder: net.clone(), decoder: net, scale }))
    }
}

fn over(source: Arc<dyn TensorSource>, path: &Path, holder: &str, budget: &Arc<Budget>) -> Result<Taesd, ModelError> {
    let names = TensorShapes::of(&*source);
    let map = taesd::canonical(&names);
    let config = TaesdConfig::from_names(&map.names())
        .ok_or_else(|| not_there(path, "tiny autoencoder", &names, "`taesd_decoder.1.weight` or `1.weight`"))?;
    config.init(&ModelWeights::new(source, map, holder, budget))
}
