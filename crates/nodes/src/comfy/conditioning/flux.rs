//! What Flux and other networks of references are told: guidance, reference latents, sizes they were trained on.

use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::ReferenceMethod;
use kiln_models::conditioning::DistilledGuidance;
use kiln_models::text::PromptTexts;

use super::encode::encode_texts;
use crate::comfy::image::resize::{Crop, Method, resize};
use crate::payload::{Clip, Conditioning, Image, Latent};

/// Turns a prompt for each of Flux's text encoders into what it understands, with how strongly to follow it.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/flux", module = "comfy_extras.nodes_flux")]
pub struct CLIPTextEncodeFlux {
    /// The text encoders.
    #[input(uses)]
    clip: Clip,
    /// The prompt for CLIP-L.
    #[input(multiline, dynamic_prompts)]
    clip_l: String,
    /// The prompt for T5.
    #[input(multiline, dynamic_prompts)]
    t5xxl: String,
    /// How strongly to follow it; models that weren't distilled for it take no notice.
    #[input(default = 3.5, min = 0.0, max = 100.0, step = 0.1)]
    guidance: f32,
}

impl Execute for CLIPTextEncodeFlux {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let texts = PromptTexts { t5: &self.t5xxl, ..PromptTexts::all(&self.clip_l) };
        let encoded = encode_texts(cx, &self.clip, &texts)?;
        Ok(Conditioning::new(encoded.set_guidance(DistilledGuidance::At(self.guidance))))
    }
}

/// Tells a distilled model how strongly to follow the prompt.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/flux", module = "comfy_extras.nodes_flux")]
pub struct FluxGuidance {
    /// The condition.
    conditioning: Conditioning,
    /// How strongly; models that weren't distilled for it take no notice.
    #[input(default = 3.5, min = 0.0, max = 100.0, step = 0.1)]
    guidance: f32,
}

impl Execute for FluxGuidance {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning.0.set_guidance(DistilledGuidance::At(self.guidance))))
    }
}

/// Leaves out what a distilled model is told of guidance.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/flux", module = "comfy_extras.nodes_flux")]
pub struct FluxDisableGuidance {
    /// The condition.
    conditioning: Conditioning,
}

impl Execute for FluxDisableGuidance {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(Conditioning::new(self.conditioning.0.set_guidance(DistilledGuidance::Off)))
    }
}

/// Gives a model for edits one more latent to look at.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/edit_models", module = "comfy_extras.nodes_edit_model")]
pub struct ReferenceLatent {
    /// The condition.
    conditioning: Conditioning,
    /// What to look at; without it the condition stays as it is.
    latent: Option<Latent>,
}

impl Execute for ReferenceLatent {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        Ok(match self.latent {
            Some(latent) => Conditioning::new(self.conditioning.0.add_reference(&latent.samples)),
            None => self.conditioning,
        })
    }
}

/// Says where several references lie, as a model's positions have it.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/flux", module = "comfy_extras.nodes_flux", experimental)]
pub struct FluxKontextMultiReferenceLatentMethod {
    /// The condition with its references.
    conditioning: Conditioning,
    /// Beside each other, one behind the other, or on the diagonal.
    #[input(options = ["offset", "index", "uxo/uno"], option("multiselect" = false))]
    reference_latents_method: String,
}

impl Execute for FluxKontextMultiReferenceLatentMethod {
    type Output = Conditioning;

    fn execute(self, _: &mut Cx) -> Result<Conditioning, NodeError> {
        let name = &self.reference_latents_method;
        let method = ReferenceMethod::from_name(name).ok_or_else(|| {
            let known = "`offset`, `index` or `uxo/uno`";
            NodeError::new(format!("`reference_latents_method` is `{name}`; it can be {known}"))
        })?;
        Ok(Conditioning::new(self.conditioning.0.set_reference_method(method)))
    }
}

/// Width and height of the images that Flux Kontext was trained on. The other half are the same turned.
const KONTEXT_SIZES: [[usize; 2]; 9] = [
    [672, 1568],
    [688, 1504],
    [720, 1456],
    [752, 1392],
    [800, 1328],
    [832, 1248],
    [880, 1184],
    [944, 1104],
    [1024, 1024],
];

/// The size whose ratio of sides is the closest, the narrower one of two equally close.
fn kontext_size(width: usize, height: usize) -> [usize; 2] {
    let ratio = width as f64 / height.max(1) as f64;
    let turned = KONTEXT_SIZES.iter().rev().skip(1).map(|[width, height]| [*height, *width]);
    let away = |[width, height]: &[usize; 2]| (ratio - *width as f64 / *height as f64).abs();
    let sizes = KONTEXT_SIZES.into_iter().chain(turned);
    sizes.min_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or([1024, 1024])
}

/// Resizes an image to the one of Flux Kontext's sizes that is most like it.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning/flux", module = "comfy_extras.nodes_flux")]
pub struct FluxKontextImageScale {
    /// The image.
    image: Image,
}

impl Execute for FluxKontextImageScale {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let [_, rows, columns, _] = self.image.dims();
        let [width, height] = kontext_size(columns, rows);
        Ok(Image::from_planes(resize(self.image.planes(), [height, width], Method::Lanczos, Crop::Center)?))
    }
}

#[cfg(test)]
mod tests {
    use super::kontext_size;

    #[test]
    fn the_closest_ratio_wins_and_turned_sizes_are_there() {
        assert_eq!(kontext_size(512, 512), [1024, 1024]);
        assert_eq!(kontext_size(1920, 1080), [1392, 752]);
        assert_eq!(kontext_size(1080, 1920), [752, 1392]);
        assert_eq!(kontext_size(16_384, 1), [1568, 672]);
        assert_eq!(kontext_size(1, 16_384), [672, 1568]);
    }
}
