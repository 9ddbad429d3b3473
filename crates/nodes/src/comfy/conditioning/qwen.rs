//! Prompts with images for Qwen-Image-Edit: its language model looks at them, its network gets them as references.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError};
use kiln_models::image::Planes;
use kiln_models::text::{GLANCE, MEGAPIXEL, PromptTexts, edit_picture, edit_prompt};
use kiln_models::tokenizer::template;

use super::encode::encode_texts;
use crate::payload::{Clip, Conditioning, Image, Vae};
use crate::runtime::environment::CxExt;

/// Turns a prompt and an image into what Qwen-Image-Edit understands.
#[derive(Node)]
#[node(unnamed, category = "advanced/conditioning", module = "comfy_extras.nodes_qwen")]
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
#[node(unnamed, category = "advanced/conditioning", module = "comfy_extras.nodes_qwen")]
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
        let looked_at = if self.vae.is_some() { given.as_slice() } else { &[] };
        let references =
            looked_at.iter().map(|(_, image)| sized(image, MEGAPIXEL, 8)).collect::<Result<Vec<_>, _>>()?;
        let slots: Vec<usize> = given.iter().map(|(slot, _)| *slot).collect();
        let text = edit_prompt(&slots, &self.prompt);
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
    let fail = |error: kiln_models::image::ImageError| NodeError::new(error.to_string());
    edit_picture(&Planes::from_tensor(&first).map_err(fail)?, area, step).map_err(fail)
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
