//! The layers of a hypernetwork as plain data, and how they are read off a file's names, shapes and texts.

use indexmap::IndexMap;
use kiln_memory::TensorShapes;

use super::activation::Nonlinearity;
use crate::error::ModelError;

/// The layers of a hypernetwork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HypernetworkConfig {
    /// The function between layers.
    pub nonlinearity: Nonlinearity,
    /// For each width of what is changed: layers for keys and layers for values.
    pub widths: IndexMap<usize, [Vec<LayerConfig>; 2]>,
}

/// One layer, by its name in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerConfig {
    /// A linear layer, maybe followed by the function.
    Linear {
        /// Its name.
        name: String,
        /// Channels that go in.
        inputs: usize,
        /// Channels that come out.
        outputs: usize,
        /// Whether the function follows.
        bends: bool,
    },
    /// A norm over the channels.
    Norm {
        /// Its name.
        name: String,
        /// Channels.
        width: usize,
    },
}

/// A layer's name and its weight's shape.
type NamedShape<'n> = (&'n str, &'n [usize]);

/// What a file says of its layers.
#[derive(Debug, Clone, Copy)]
struct Traits {
    bends: bool,
    norms: bool,
    bends_last: bool,
}

impl HypernetworkConfig {
    /// Reads the configuration off names, shapes and the texts beside them; `None` when they are no hypernetwork's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` for an unknown function, or layers that don't follow each other.
    pub fn from_names(names: &TensorShapes, texts: &IndexMap<String, String>) -> Result<Option<Self>, ModelError> {
        let mut widths: IndexMap<usize, [Vec<NamedShape<'_>>; 2]> = IndexMap::new();
        for (name, shape) in names.iter() {
            let Some((width, side, layer)) = weight(name) else { continue };
            widths.entry(width).or_default()[side].push((layer, shape));
        }
        if widths.values().flatten().all(Vec::is_empty) {
            return Ok(None);
        }
        let text = |name: &str| texts.get(name).map(String::as_str);
        let is_on = |name: &str| text(name).is_some_and(|value| !["false", "0", ""].contains(&value));
        let nonlinearity = function(text("activation_func").unwrap_or("linear"))?;
        let bends = nonlinearity != Nonlinearity::Linear;
        let traits = Traits { bends, norms: is_on("is_layer_norm"), bends_last: is_on("activate_output") };
        let built = widths
            .into_iter()
            .map(|(width, [keys, values])| Ok((width, [traits.layers(width, &keys)?, traits.layers(width, &values)?])));
        Ok(Some(Self { nonlinearity, widths: built.collect::<Result<_, ModelError>>()? }))
    }
}

/// Width, side and layer of a weight's name: `768.0.linear.0.weight`.
fn weight(name: &str) -> Option<(usize, usize, &str)> {
    let (width, rest) = name.split_once('.')?;
    let (side, _) = rest.split_once('.')?;
    let side = ["0", "1"].iter().position(|known| *known == side)?;
    Some((width.parse().ok()?, side, name.strip_suffix(".weight")?))
}

fn function(name: &str) -> Result<Nonlinearity, ModelError> {
    let found = Nonlinearity::NAMED.iter().find(|(known, _)| *known == name);
    found.map(|(_, found)| *found).ok_or_else(|| {
        let known = Nonlinearity::NAMED.map(|(known, _)| known).join(", ");
        odd(format!("its function between layers is `{name}`, none of {known}"))
    })
}

impl Traits {
    /// The layers of one side. With norms every other weight is one's, and the last linear layer counts as one of the
    /// inner ones, as in the reference.
    fn layers(self, width: usize, weights: &[NamedShape<'_>]) -> Result<Vec<LayerConfig>, ModelError> {
        let (mut layers, mut channels) = (Vec::new(), width);
        for (at, (name, shape)) in weights.iter().enumerate() {
            let name = (*name).to_owned();
            if self.norms && at % 2 == 1 {
                if **shape != [channels] {
                    return Err(odd(format!("`{name}.weight` is {shape:?}, a norm over {channels} channels is due")));
                }
                layers.push(LayerConfig::Norm { name, width: channels });
                continue;
            }
            let [outputs, inputs] = **shape else {
                return Err(odd(format!("`{name}.weight` is {shape:?}, no matrix of a linear layer")));
            };
            if inputs != channels || outputs == 0 {
                let detail = format!("`{name}.weight` is {shape:?}, the layer before gives {channels} channels");
                return Err(odd(detail));
            }
            let bends = self.bends && (at + 1 < weights.len() || self.bends_last);
            layers.push(LayerConfig::Linear { name, inputs, outputs, bends });
            channels = outputs;
        }
        if channels != width || layers.is_empty() {
            return Err(odd(format!("the layers for a width of {width} end with {channels} channels")));
        }
        Ok(layers)
    }
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a hypernetwork".into(), detail }
}
