//! Prompts with images for Qwen-Image-Edit: its language model looks at them, its network gets them as references.
//!
//! Source: ComfyUI `comfy_extras/nodes_qwen.py` (sizes and texts).

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::{Crop, Method, Planes, common_upscale};
use kiln_models::text::PromptTexts;
use kiln_models::tokenizer::template;

use super::encode::encode_texts;
use crate::payload::{Clip, Conditioning, Image, Vae};
use crate::runtime::environment::CxExt;

/// Pixels of an image that the network looks at.
const MEGAPIXEL: f64 = 1024.0 * 1024.0;
/// Pixels of an image that the language model looks at, where there may be several.
const GLANCE: f64 = 384.0 * 384.0;

/// Turns a prompt and an image into what Qwen-Image-Edit understands.
#[derive(Node)]
#[node(category = "advanced/conditioning", module = "comfy_extras.nodes_qwen")]
pub struct TextEncodeQwenImageEdit {
    /// The text encoder, with its vision tower.
    #[input(uses)]
    clip: Clip,
    /// What to do with the image.
    #[input(multiline, dynamic_prompts)]
    prompt: String,
    /// The autoencoder; with it, the image becomes a reference as well.
    #[input(uses)]
    vae: Option<Vae>,
    /// The image to edit.
    image: Option<Image>,
}

impl Execute for TextEncodeQwenImageEdit {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let images: Vec<Planes> =
            self.image.iter().map(|image| sized(image, MEGAPIXEL, 1)).collect::<Result<_, _>>()?;
        let texts = PromptTexts { images: &images, ..PromptTexts::all(&self.prompt) };
        let encoded = Conditioning::new(encode_texts(cx, &self.clip, &texts)?);
        with_references(cx, encoded, self.vae.as_ref(), &images)
    }
}

/// Turns a prompt and up to three images into what Qwen-Image-Edit understands since its edition of September 2025.
#[derive(Node)]
#[node(category = "advanced/conditioning", module = "comfy_extras.nodes_qwen")]
pub struct TextEncodeQwenImageEditPlus {
    /// The text encoder, with its vision tower.
    #[input(uses)]
    clip: Clip,
    /// What to do with the images, which it may call picture 1, 2 and 3.
    #[input(multiline, dynamic_prompts)]
    prompt: String,
    /// The autoencoder; with it, the images become references as well.
    #[input(uses)]
    vae: Option<Vae>,
    /// Picture 1.
    image1: Option<Image>,
    /// Picture 2.
    image2: Option<Image>,
    /// Picture 3.
    image3: Option<Image>,
}

impl Execute for TextEncodeQwenImageEditPlus {
    type Output = Conditioning;

    fn execute(self, cx: &mut Cx) -> Result<Conditioning, NodeError> {
        let slots = [&self.image1, &self.image2, &self.image3];
        let given: Vec<(usize, &Image)> =
            slots.into_iter().enumerate().filter_map(|(at, image)| Some((at + 1, image.as_ref()?))).collect();
        let glances = given.iter().map(|(_, image)| sized(image, GLANCE, 1)).collect::<Result<Vec<_>, _>>()?;
        let references = given.iter().map(|(_, image)| sized(image, MEGAPIXEL, 8)).collect::<Result<Vec<_>, _>>()?;
        let mark = |(slot, _): &(usize, &Image)| format!("Picture {slot}: {}", template::VISION_MARK);
        let marks = given.iter().map(mark).collect::<Vec<_>>().concat();
        let text = format!("{marks}{}", self.prompt);
        let template = Some(template::QWEN_EDIT);
        let texts = PromptTexts { images: &glances, template, ..PromptTexts::all(&text) };
        let encoded = Conditioning::new(encode_texts(cx, &self.clip, &texts)?);
        with_references(cx, encoded, self.vae.as_ref(), &references)
    }
}

/// The first image of a batch, of about `area` pixels, in its proportions; sides are multiples of `step`.
fn sized(image: &Image, area: f64, step: usize) -> Result<Planes, NodeError> {
    let [batch, height, width, _] = image.dims();
    if batch == 0 || height == 0 || width == 0 {
        return Err(NodeError::new(format!("an image of {batch} x {height} x {width} has nothing to look at")));
    }
    let first = Image::new(image.pixels().narrow(0, 0, 1)).rgb().planes();
    let scale = (area / (width as f64 * height as f64)).sqrt();
    let side = |length: usize| {
        let steps = (length as f64 * scale / step as f64).round_ties_even() as usize;
        steps.max(1) * step
    };
    let fail = |error: kiln_models::image::ImageError| NodeError::new(error.to_string());
    let planes = Planes::from_tensor(&first).map_err(fail)?;
    common_upscale(&planes, side(width), side(height), Method::Area, Crop::Disabled).map_err(fail)
}

/// The condition with the images' latents behind the references that it has.
fn with_references(
    cx: &Cx,
    conditioning: Conditioning,
    vae: Option<&Vae>,
    images: &[Planes],
) -> Result<Conditioning, NodeError> {
    let Some(vae) = vae else { return Ok(conditioning) };
    let (network, device) = (vae.network()?, cx.environment()?.device().clone());
    let mut conditions = (*conditioning.0).clone();
    for image in images {
        cx.checkpoint()?;
        let pixels: Tensor<4> = image.to_tensor(&device).permute([0, 2, 3, 1]);
        let [_, height, width, _] = pixels.dims();
        let _room = cx.room("encoding", network.activations([height, width]), "a smaller image takes less")?;
        conditions = conditions.add_reference(&network.encode_image(pixels)?);
    }
    Ok(Conditioning::new(conditions))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn size(height: usize, width: usize, area: f64, step: usize) -> [usize; 2] {
        let image = Image::from_values(vec![0.5; height * width * 4], [1, height, width, 4], &Device::flex()).unwrap();
        let [_, channels, height, width] = sized(&image, area, step).unwrap().shape();
        assert_eq!(channels, 3);
        [height, width]
    }

    #[test]
    fn images_keep_their_proportions_at_the_references_sizes() {
        // Those that ComfyUI 0.3.75's nodes give for the same images.
        assert_eq!(size(300, 200, MEGAPIXEL, 1), [1254, 836]);
        assert_eq!(size(300, 200, GLANCE, 1), [470, 314]);
        assert_eq!(size(300, 200, MEGAPIXEL, 8), [1256, 840]);
        assert_eq!(size(64, 512, GLANCE, 1), [136, 1086]);
        assert_eq!(size(97, 131, MEGAPIXEL, 8), [880, 1192]);
    }

    #[test]
    fn one_pixel_becomes_an_image() {
        assert_eq!(size(1, 1, GLANCE, 1), [384, 384]);
    }
}
