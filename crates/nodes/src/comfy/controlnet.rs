//! ControlNets and T2I-Adapters: networks that steer a model by an image of edges, depth, poses.

use std::sync::Arc;

use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError, object};
use kiln_models::ControlSource;
use kiln_models::conditioning::ControlLink;
use kiln_models::controlnet::{Control, ControlNet as Network, ControlNetwork};
use kiln_models::image::Planes;
use kiln_models::t2i::{Adapter, AdapterControl};

use crate::comfy::loaders::fingerprint::file_fingerprint;
use crate::payload::{Conditioning, Image, Mask, Model, Vae};
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! {
    ControlNetLoader, DiffControlNetLoader, ControlNetApply, ControlNetApplyAdvanced, ControlNetApplySD3,
    SetUnionControlNetType, ControlNetInpaintingAliMamaApply,
}

/// A network that steers another one.
#[derive(Clone, Debug)]
pub enum ControlNet {
    /// A second way down beside the UNet's.
    Net {
        /// The network.
        network: ControlNetwork,
        /// What kind of image it is given, by number; only union networks ask.
        kind: Option<usize>,
    },
    /// A small network that looks at the image once.
    Adapter(Arc<Adapter>),
}

object!(ControlNet, "CONTROL_NET");

impl From<ControlNetwork> for ControlNet {
    fn from(network: ControlNetwork) -> Self {
        Self::Net { network, kind: None }
    }
}

fn controlnets(host: &Host) -> Vec<String> {
    models(host, "controlnet")
}

/// Opens a ControlNet or a T2I-Adapter.
#[derive(Node)]
#[node(display_name = "Load ControlNet Model", category = "loaders", aliases("controlnet"))]
pub struct ControlNetLoader {
    /// A file of the folder `controlnet`.
    #[input(choices = controlnets, provides(CONTROL_NET = "controlnet"))]
    control_net_name: String,
}

impl Execute for ControlNetLoader {
    type Output = ControlNet;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "controlnet", &["control_net_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<ControlNet, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("controlnet", &self.control_net_name)?;
        if Adapter::is_in(&path)? {
            return Ok(ControlNet::Adapter(Arc::new(Adapter::open(&path, environment.budget())?)));
        }
        Ok(ControlNetwork::open(&path, environment.budget())?.into())
    }
}

/// Opens a ControlNet whose file only says how it differs from a model.
#[derive(Node)]
#[node(display_name = "Load ControlNet Model (diff)", category = "loaders", aliases("controlnet"))]
pub struct DiffControlNetLoader {
    /// The model that it differs from.
    model: Model,
    /// A file of the folder `controlnet`.
    #[input(choices = controlnets, provides(CONTROL_NET = "controlnet"))]
    control_net_name: String,
}

impl Execute for DiffControlNetLoader {
    type Output = ControlNet;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "controlnet", &["control_net_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<ControlNet, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("controlnet", &self.control_net_name)?;
        let net = Network::open(&path, Some(&self.model.network), environment.budget())?;
        Ok(ControlNetwork::from(Arc::new(net)).into())
    }
}

/// Steers a condition by an image, for the whole run.
#[derive(Node)]
#[node(display_name = "Apply ControlNet (OLD)", category = "conditioning/controlnet", deprecated)]
pub struct ControlNetApply {
    /// The condition.
    conditioning: Conditioning,
    /// The network that steers.
    #[input(carries)]
    control_net: ControlNet,
    /// The image it looks at.
    image: Image,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
}

impl Execute for ControlNetApply {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        if self.strength == 0.0 {
            return Ok(self.conditioning);
        }
        let mut chain = Chain::new(&self.control_net, &self.image, self.strength, [0.0, 1.0], true)?;
        Ok(chain.onto(&self.conditioning))
    }
}

/// Steers positive and negative conditions by an image, for a part of the run.
#[derive(Node)]
#[node(
    display_name = "Apply ControlNet",
    category = "conditioning/controlnet",
    outputs("positive", "negative"),
    aliases("controlnet")
)]
pub struct ControlNetApplyAdvanced {
    /// What to draw.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// The network that steers.
    #[input(carries)]
    control_net: ControlNet,
    /// The image it looks at.
    image: Image,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// From where in the run, 0 for its start.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// To where in the run, 1 for its end.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
    /// For networks that look at latents; those of Stable Diffusion look at images.
    #[allow(dead_code, reason = "networks of these families look at images")]
    vae: Option<Vae>,
}

impl Execute for ControlNetApplyAdvanced {
    type Output = (Conditioning, Conditioning);

    fn execute(self, _: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        if self.strength == 0.0 {
            return Ok((self.positive, self.negative));
        }
        let range = [self.start_percent, self.end_percent];
        let mut chain = Chain::new(&self.control_net, &self.image, self.strength, range, false)?;
        Ok((chain.onto(&self.positive), chain.onto(&self.negative)))
    }
}

/// Steers positive and negative conditions by an image, for networks that look at it through an autoencoder.
#[derive(Node)]
#[node(
    display_name = "Apply Controlnet with VAE",
    category = "conditioning/controlnet",
    module = "comfy_extras.nodes_sd3",
    outputs("positive", "negative"),
    deprecated
)]
pub struct ControlNetApplySD3 {
    /// What to draw.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// The network that steers.
    #[input(carries)]
    control_net: ControlNet,
    /// For networks that look at latents; those of Stable Diffusion look at images.
    vae: Vae,
    /// The image it looks at.
    image: Image,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// From where in the run, 0 for its start.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// To where in the run, 1 for its end.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
}

impl Execute for ControlNetApplySD3 {
    type Output = (Conditioning, Conditioning);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let Self { positive, negative, control_net, vae, image, strength, start_percent, end_percent } = self;
        let vae = Some(vae);
        ControlNetApplyAdvanced { positive, negative, control_net, image, strength, start_percent, end_percent, vae }
            .execute(cx)
    }
}

/// The kinds of images that union ControlNets know, by number.
const KINDS: [&str; 8] = [
    "openpose",
    "depth",
    "hed/pidi/scribble/ted",
    "canny/lineart/anime_lineart/mlsd",
    "normal",
    "segment",
    "tile",
    "repaint",
];

/// Tells a union ControlNet what kind of image it is given.
#[derive(Node)]
#[node(unnamed, category = "conditioning/controlnet", module = "comfy_extras.nodes_controlnet")]
pub struct SetUnionControlNetType {
    /// The network; one that is not a union takes no notice.
    #[input(carries)]
    control_net: ControlNet,
    /// The kind; auto tells it nothing.
    #[input(options = [
        "auto", "openpose", "depth", "hed/pidi/scribble/ted", "canny/lineart/anime_lineart/mlsd", "normal", "segment",
        "tile", "repaint"
    ], option("multiselect" = false))]
    #[input(name = "type")]
    kind: String,
}

impl Execute for SetUnionControlNetType {
    type Output = ControlNet;

    fn execute(self, _: &mut Cx) -> Result<ControlNet, NodeError> {
        let ControlNet::Net { network, .. } = self.control_net else { return Ok(self.control_net) };
        let kind = KINDS.iter().position(|known| *known == self.kind);
        if let (Some(kind), Some(known)) = (kind, network.kinds())
            && kind >= known
        {
            let known = KINDS[..known.min(KINDS.len())].join(", ");
            let found = KINDS[kind];
            return Err(NodeError::new(format!(
                "`type` {found}: this ControlNet only knows {known}; take one of them"
            )));
        }
        Ok(ControlNet::Net { network, kind })
    }
}

/// Steers positive and negative conditions by an image of which a part is to be drawn anew. Networks that look at latents
/// are given the mask; those of Stable Diffusion see the image alone, as in ComfyUI.
#[derive(Node)]
#[node(
    unnamed,
    category = "conditioning/controlnet",
    module = "comfy_extras.nodes_controlnet",
    outputs("positive", "negative"),
    aliases("masked controlnet")
)]
pub struct ControlNetInpaintingAliMamaApply {
    /// What to draw.
    positive: Conditioning,
    /// What to move away from.
    negative: Conditioning,
    /// The network that steers.
    #[input(carries)]
    control_net: ControlNet,
    /// For networks that look at latents; those of Stable Diffusion look at images.
    vae: Vae,
    /// The image it looks at.
    image: Image,
    /// 1 where the image is drawn anew.
    mask: Mask,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.01)]
    strength: f64,
    /// From where in the run, 0 for its start.
    #[input(default = 0.0, min = 0.0, max = 1.0, step = 0.001)]
    start_percent: f64,
    /// To where in the run, 1 for its end.
    #[input(default = 1.0, min = 0.0, max = 1.0, step = 0.001)]
    end_percent: f64,
}

impl Execute for ControlNetInpaintingAliMamaApply {
    type Output = (Conditioning, Conditioning);

    fn execute(self, cx: &mut Cx) -> Result<(Conditioning, Conditioning), NodeError> {
        let Self { positive, negative, control_net, vae, image, mask, strength, start_percent, end_percent } = self;
        if mask.tensor().dims()[0] == 0 {
            return Err(NodeError::new("input `mask` holds no mask; link one to it"));
        }
        let vae = Some(vae);
        ControlNetApplyAdvanced { positive, negative, control_net, image, strength, start_percent, end_percent, vae }
            .execute(cx)
    }
}

/// Whatever steers.
type Source = Arc<dyn ControlSource>;

/// A control in the making. Conditions that had the same control before share one after: it is evaluated once for both.
struct Chain {
    network: ControlNet,
    hint: Planes,
    strength: f32,
    range: [f64; 2],
    to_negative: bool,
    /// What was there before, and what stands in its place.
    made: Vec<(Option<Source>, Source)>,
}

impl Chain {
    fn new(
        network: &ControlNet,
        image: &Image,
        strength: f64,
        range: [f64; 2],
        to_negative: bool,
    ) -> Result<Self, NodeError> {
        if image.dims()[0] == 0 {
            return Err(NodeError::new("input `image` holds no image; a control needs at least one"));
        }
        let hint = Planes::from_tensor(&image.rgb().planes())?;
        Ok(Self { network: network.clone(), hint, strength: strength as f32, range, to_negative, made: Vec::new() })
    }

    fn onto(&mut self, conditioning: &Conditioning) -> Conditioning {
        let to_negative = self.to_negative;
        Conditioning::new(conditioning.0.set_control(|before| {
            let source = self.after(before.map(|link| link.source.clone()));
            ControlLink { source, to_negative }
        }))
    }

    fn after(&mut self, before: Option<Source>) -> Source {
        let same = |made: &Option<Source>| match (made, &before) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        };
        if let Some((_, source)) = self.made.iter().find(|(made, _)| same(made)) {
            return source.clone();
        }
        let Self { network, hint, strength, range, .. } = self;
        let (hint, previous) = (hint.clone(), before.clone());
        let source: Source = match network {
            ControlNet::Net { network, kind } => {
                Arc::new(Control::new(network.clone(), hint, *strength, *range, previous).with_kind(*kind))
            }
            ControlNet::Adapter(net) => Arc::new(AdapterControl::new(net.clone(), hint, *strength, *range, previous)),
        };
        self.made.push((before, source.clone()));
        source
    }
}
