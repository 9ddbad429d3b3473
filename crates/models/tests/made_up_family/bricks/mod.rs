//! A family that Kiln doesn't know, as a crate outside writes it: a wall of linear layers over the cells of latents with
//! three channels and frames.

mod config;
mod wall;

use std::sync::Arc;

use kiln_memory::{KeyMap, TensorShapes};
use kiln_models::{
    LatentFormat,
    family::{Family, Found, NetworkKind, Prediction, TextRecipe},
};

pub(crate) use config::WallConfig;

static WALL: NetworkKind = NetworkKind {
    name: "a wall",
    probe: "a wall (`wall.mortar_in.weight`)",
    find: |names: &TensorShapes| {
        let map = KeyMap::under(names, "wall.");
        let found = WallConfig::from_names(&map.names())?;
        Ok(found.map(|config| Found { config: Arc::new(config) as Arc<_>, map }))
    },
};

static TEXT: TextRecipe = TextRecipe::NONE;

/// The row.
pub(crate) const BRICKS: Family = Family {
    name: "Bricks",
    network: &WALL,
    suits: |_, _| true,
    prediction: |_, _| Ok(Prediction::Flow { shift: 2.0, multiplier: 1.0 }),
    told: |_| None,
    latent: |_| LATENT,
    text: &TEXT,
    vae_prefix: "vae.",
    vision_prefix: None,
    architecture: |_| None,
};

const LATENT: LatentFormat = LatentFormat {
    name: "Bricks",
    shift: 0.5,
    scale: 2.0,
    statistics: None,
    rgb: &[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    rgb_bias: [0.0; 3],
    packed: 1,
    cell: 8,
    tiny: None,
};
