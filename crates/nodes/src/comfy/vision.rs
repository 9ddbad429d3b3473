//! Nodes that look at images with CLIP, and make words of their style.

use std::sync::Arc;

use burn::tensor::Tensor;
use kiln_exec::{ConstantInputs, Cx, Execute, Fingerprint, Host, Node, NodeError, object};
use kiln_models::conditioning::Conditioning as Conditions;
use kiln_models::image::Planes;
use kiln_models::vision::{StyleModel as Style, VisionModel, prepared};

use crate::comfy::loaders::fingerprint::file_fingerprint;
pub use crate::payload::{ClipVision, ClipVisionOutput};
use crate::payload::{Conditioning, Image};
use crate::runtime::environment::{CxExt, models};

crate::comfy::classes::classes! {
    CLIPVisionLoader, CLIPVisionEncode, StyleModelLoader, StyleModelApply,
}

/// A network that makes words of a style.
#[derive(Clone, Debug)]
pub struct StyleModel(pub Arc<Style>);

object!(StyleModel, "STYLE_MODEL");

fn encoders(host: &Host) -> Vec<String> {
    models(host, "clip_vision")
}

fn styles(host: &Host) -> Vec<String> {
    models(host, "style_models")
}

/// Opens CLIP's image encoder.
#[derive(Node)]
#[node(display_name = "Load CLIP Vision", category = "loaders")]
pub struct CLIPVisionLoader {
    /// A file of the folder `clip_vision`.
    #[input(choices = encoders, provides(CLIP_VISION = "vision"))]
    clip_name: String,
}

impl Execute for CLIPVisionLoader {
    type Output = ClipVision;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "clip_vision", &["clip_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<ClipVision, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("clip_vision", &self.clip_name)?;
        Ok(ClipVision::new(VisionModel::open(&path, environment.budget())?))
    }
}

/// Looks at images with CLIP.
#[derive(Node)]
#[node(display_name = "CLIP Vision Encode", category = "conditioning")]
pub struct CLIPVisionEncode {
    /// The image encoder.
    #[input(uses)]
    clip_vision: ClipVision,
    /// The images.
    image: Image,
    /// Whether their middle is cut out, or all of them is squeezed into a square.
    #[input(combo = ["center", "none"])]
    crop: String,
}

impl Execute for CLIPVisionEncode {
    type Output = ClipVisionOutput;

    fn execute(self, cx: &mut Cx) -> Result<ClipVisionOutput, NodeError> {
        seen(cx, &self.clip_vision, &self.image, self.crop == "center")
    }
}

/// What an image encoder sees in images.
pub(in crate::comfy) fn seen(
    cx: &Cx,
    clip_vision: &ClipVision,
    image: &Image,
    cropped: bool,
) -> Result<ClipVisionOutput, NodeError> {
    let network = clip_vision.network()?;
    let planes = Planes::from_tensor(&image.rgb().planes())?;
    let image = prepared(&planes, network.config().image, cropped, cx.environment()?.device());
    Ok(ClipVisionOutput(Arc::new(network.forward(image)?)))
}

/// Opens a style adapter.
#[derive(Node)]
#[node(display_name = "Load Style Model", category = "loaders")]
pub struct StyleModelLoader {
    /// A file of the folder `style_models`.
    #[input(choices = styles)]
    style_model_name: String,
}

impl Execute for StyleModelLoader {
    type Output = StyleModel;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        file_fingerprint(known, "style_models", &["style_model_name"])
    }

    fn execute(self, cx: &mut Cx) -> Result<StyleModel, NodeError> {
        let environment = cx.environment()?;
        let path = environment.folders().model("style_models", &self.style_model_name)?;
        Ok(StyleModel(Arc::new(Style::open(&path, environment.budget())?)))
    }
}

/// Adds words of an image's style to a condition.
#[derive(Node)]
#[node(display_name = "Apply Style Model", category = "conditioning/style_model")]
pub struct StyleModelApply {
    /// The condition.
    conditioning: Conditioning,
    /// The style adapter.
    style_model: StyleModel,
    /// What CLIP saw in the image.
    clip_vision_output: ClipVisionOutput,
    /// How strongly.
    #[input(default = 1.0, min = 0.0, max = 10.0, step = 0.001)]
    strength: f32,
    /// What the strength is a factor of: the words, or the attention to them, which only other families have.
    #[input(combo = ["multiply", "attn_bias"])]
    strength_type: String,
}

impl Execute for StyleModelApply {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        if self.strength_type == "attn_bias" && self.strength != 1.0 {
            return Err(NodeError::new(
                "`strength_type` attn_bias needs a model whose attention takes a bias (Flux); take `multiply`",
            ));
        }
        let words = self.style_model.0.forward(self.clip_vision_output.0.tokens.clone())?;
        let [batch, count, width] = words.dims();
        let words: Tensor<3> = words.reshape([1, batch * count, width]) * self.strength;
        for entry in &self.conditioning.0.entries {
            let [_, _, own] = entry.context.dims();
            if own != width {
                return Err(NodeError::new(format!(
                    "input `style_model` makes words of width {width}, `conditioning` has {own}: it is for another family"
                )));
            }
        }
        Ok(Conditioning::new(self.conditioning.0.concat(&Conditions::new(words, None))))
    }
}
