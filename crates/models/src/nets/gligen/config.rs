//! The sizes of a GLIGEN network as plain data, and how they are read off names and shapes.

use kiln_memory::TensorShapes;

use crate::error::ModelError;

/// The sizes of a GLIGEN network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GligenConfig {
    /// One for each transformer of the UNet, in the order of its blocks.
    pub fusers: Vec<FuserConfig>,
    /// Channels of a box's text.
    pub text: usize,
    /// Channels inside of the network that places texts.
    pub hidden: usize,
    /// Channels of a placed text: what the fusers take.
    pub token: usize,
}

/// The sizes of one fuser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuserConfig {
    /// Channels of the transformer that it belongs to.
    pub channels: usize,
    /// Attention heads.
    pub heads: usize,
}

/// The width of a text by which SD1's transformers, with 8 heads each, are told from those with heads of 64.
const SD1_TEXT: usize = 768;

impl GligenConfig {
    /// Reads the configuration off names and shapes in this network's own names; `None` when they are no GLIGEN's.
    ///
    /// # Errors
    /// `ModelError::Unrecognised` when parts of it don't fit together.
    pub fn from_names(names: &TensorShapes) -> Result<Option<Self>, ModelError> {
        let first = names.shape("position_net.linears.0.weight");
        let (Some(text), Some(&[hidden, _]), Some(token)) = (
            names.side("position_net.null_positive_feature", 0),
            first,
            names.side("position_net.linears.4.weight", 0),
        ) else {
            return Ok(None);
        };
        let fusers = (0..names.count("fusers.")).map(|n| fuser(names, n, token)).collect::<Result<Vec<_>, _>>()?;
        if fusers.is_empty() {
            return Ok(None);
        }
        if text != token || [text, hidden].contains(&0) {
            let detail = format!("its texts have {text} channels, its layers {hidden}, its fusers take {token}");
            return Err(odd(detail));
        }
        Ok(Some(Self { fusers, text, hidden, token }))
    }
}

fn fuser(names: &TensorShapes, number: usize, token: usize) -> Result<FuserConfig, ModelError> {
    let name = format!("fusers.{number}.linear.weight");
    let Some(&[channels, width]) = names.shape(&name) else { return Err(odd(format!("`{name}` is missing"))) };
    if width != token {
        return Err(odd(format!("`{name}` takes {width} channels, placed texts have {token}")));
    }
    let heads = if width == SD1_TEXT { 8 } else { channels / 64 };
    if heads == 0 || channels % heads != 0 {
        return Err(odd(format!("{heads} heads don't divide the {channels} channels of `{name}`")));
    }
    Ok(FuserConfig { channels, heads })
}

fn odd(detail: String) -> ModelError {
    ModelError::Unrecognised { what: "a GLIGEN network".into(), detail }
}
