//! Prompts to masks of an image: encoded once, asked for all of them.

use burn::tensor::{Device, Tensor, TensorData};
use kiln_exec::{Cx, NodeError};
use kiln_models::ActivationTap;
use kiln_models::image::{Detection, Pixels};
use kiln_models::segmenter::Prompt;

use crate::payload::{Mask, SegmenterModel};
use crate::runtime::environment::CxExt;

/// What a segmenter holds while it looks at an image.
const ROOM: u64 = 150 << 20;

/// A mask of one image, row after row.
pub(super) type Outline = Vec<bool>;

/// The mask of each prompt.
pub(super) fn outlines(
    cx: &Cx,
    model: &SegmenterModel,
    image: &Pixels,
    prompts: &[Prompt],
) -> Result<Vec<Outline>, NodeError> {
    if prompts.is_empty() {
        return Ok(Vec::new());
    }
    cx.checkpoint()?;
    let _room = cx.room("segmenting", ROOM, "Smaller images don't help here: close other programs")?;
    let embedding = model.network.encode(&planes(image, &model.device), ActivationTap::default())?;
    let mut found = Vec::with_capacity(prompts.len());
    for prompts in prompts.chunks(8) {
        cx.checkpoint()?;
        found.extend(model.network.masks(&embedding, prompts)?);
    }
    Ok(found)
}

/// The box of a detection as a prompt.
pub(super) fn around(found: &Detection) -> Prompt {
    Prompt::corners(found.corners.map(|v| v as f32))
}

/// Bytes as `[1, 3, h, w]` in 0..1.
fn planes(image: &Pixels, device: &Device) -> Tensor<4> {
    let [height, width, channels] = image.dims();
    let channel = |c: usize| image.bytes().iter().skip(c).step_by(channels).map(|byte| f32::from(*byte) / 255.0);
    let values: Vec<f32> = (0..channels).flat_map(channel).collect();
    Tensor::from_data(TensorData::new(values, [1, channels, height, width]), device)
}

/// Whatever any of the masks covers.
pub(super) fn union(masks: &[Outline], pixels: usize) -> Outline {
    (0..pixels).map(|i| masks.iter().any(|mask| mask[i])).collect()
}

/// Masks of equal size as the batch on a link.
pub(super) fn batch(masks: &[Outline], [height, width]: [usize; 2], device: &Device) -> Result<Mask, NodeError> {
    let values = masks.iter().flatten().map(|on| f32::from(u8::from(*on))).collect();
    Mask::from_values(values, [masks.len(), height, width], device)
}
