//! GLIGEN: boxes in the image with a text each.

use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError, object};
use kiln_models::gligen::{Gligen as Network, GroundedBox, MOST_BOXES};

use crate::comfy::conditioning::unprojected;
use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::payload::{Clip, Conditioning};
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! { GLIGENLoader, GLIGENTextBoxApply }

/// A network that draws texts into boxes.
#[derive(Clone, Debug)]
pub struct Gligen(Arc<Network>);

object!(Gligen, "GLIGEN");

fn gligens(host: &Host) -> Vec<String> {
    models(host, "gligen")
}

/// Opens a GLIGEN: a network that draws texts into boxes.
#[derive(Node)]
#[node(display_name = "GLIGENLoader", category = "loaders")]
pub struct GLIGENLoader {
    /// A file of the folder `gligen`.
    #[input(choices = gligens, provides(GLIGEN = "gligen"))]
    gligen_name: String,
}

impl Execute for GLIGENLoader {
    type Output = Gligen;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "gligen", &["gligen_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<Gligen, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("gligen", &self.gligen_name)?;
        Ok(Gligen(Arc::new(Network::open(&path, environment.budget())?)))
    }
}

/// Says what is to be drawn in a box of the image.
#[derive(Node)]
#[node(display_name = "GLIGENTextBoxApply", category = "conditioning/gligen")]
pub struct GLIGENTextBoxApply {
    /// The conditions that get the box.
    conditioning_to: Conditioning,
    /// The text encoders of the model.
    #[input(uses)]
    clip: Clip,
    /// The network that draws it.
    #[input(carries)]
    gligen_textbox_model: Gligen,
    /// What to draw there; a part of the prompt, best in the same words.
    #[input(multiline, dynamic_prompts)]
    text: String,
    /// Width of the box in pixels.
    #[input(default = 64, min = 8, max = 16384, step = 8)]
    width: usize,
    /// Height of the box in pixels.
    #[input(default = 64, min = 8, max = 16384, step = 8)]
    height: usize,
    /// Its left side in pixels.
    #[input(default = 0, min = 0, max = 16384, step = 8)]
    x: usize,
    /// Its top in pixels.
    #[input(default = 0, min = 0, max = 16384, step = 8)]
    y: usize,
}

impl Execute for GLIGENTextBoxApply {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let Self { conditioning_to, clip, gligen_textbox_model: Gligen(net), text, width, height, x, y } = self;
        let boxes = |entry: &kiln_models::conditioning::Condition| {
            entry.grounding.as_ref().map_or(0, |grounding| grounding.boxes.len())
        };
        if conditioning_to.0.entries.iter().any(|entry| boxes(entry) >= MOST_BOXES) {
            return Err(NodeError::new(format!(
                "`conditioning_to` has {MOST_BOXES} boxes already, and the network takes no more; leave one out"
            )));
        }
        let text = unprojected(cx, &clip, &text)?;
        let (found, wanted) = (text.dims()[1], net.config().text);
        if found != wanted {
            return Err(NodeError::new(format!(
                "`clip` gives texts of width {found}, `gligen_textbox_model` takes {wanted}: it is for another family"
            )));
        }
        let cells = [height, width, y, x].map(|pixels| pixels / 8);
        Ok(Conditioning::new(conditioning_to.0.add_box(&net, &GroundedBox { text, cells })))
    }
}
