//! A whole detection: an image of bytes and the classes' features in, boxes in the image out.

use burn::tensor::{Tensor, TensorData};

use super::decode::{LevelMaps, Scored, decoded};
use super::model::Detector;
use crate::{
    error::ModelError,
    image::{Detection, Letterbox, Pixels, Suppression, suppressed},
    nets::activations::ActivationTap,
};

/// How a detector looks at an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectOptions {
    /// Boxes count from this score on, exclusively.
    pub confidence: f64,
    /// Which of overlapping boxes stay.
    pub suppression: Suppression,
    /// The longer side of the image as the network sees it.
    pub side: usize,
}

impl Default for DetectOptions {
    /// ultralytics' own: an overlap of 0.7 within a class, 300 boxes, 640 pixels.
    fn default() -> Self {
        let suppression = Suppression { overlap: 0.7, agnostic: false, most: 300 };
        Self { confidence: 0.25, suppression, side: 640 }
    }
}

impl Detector {
    /// The boxes in an image, from the best on, in its pixels.
    ///
    /// # Shapes
    /// `image` red, green and blue; `text` `[classes, text]`.
    /// # Errors
    /// `ModelError::Input` for no class or another width of features, `ModelError::NotFinite` when weights or image are
    /// no numbers, or when weights can't be had.
    pub fn detect(
        &self,
        image: &Pixels,
        text: &Tensor<2>,
        options: &DetectOptions,
    ) -> Result<Vec<Detection>, ModelError> {
        let [height, width, channels] = image.dims();
        let input = |found| ModelError::Input {
            network: "detector",
            what: "image",
            expected: "[h, w, 3] of bytes".into(),
            found,
        };
        if channels != 3 {
            return Err(input(vec![height, width, channels]));
        }
        let letterbox = Letterbox::new([height, width], options.side);
        let fitted = letterbox.put(image).map_err(|_| input(vec![height, width, channels]))?;
        let scored = self.scores(planes(&fitted, &text.device()), text, ActivationTap::default())?;
        if scored.is_broken() {
            return Err(ModelError::NotFinite { network: "detector", what: "boxes" });
        }
        let kept = suppressed(scored.candidates(options.confidence), options.suppression);
        Ok(kept.into_iter().map(|found| Detection { corners: letterbox.back(found.corners), ..found }).collect())
    }

    /// Every place's box and scores, before any is left out.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward).
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn scores(&self, x: Tensor<4>, text: &Tensor<2>, tap: ActivationTap<'_>) -> Result<Scored, ModelError> {
        let (classes, height) = (text.dims()[0], x.dims()[2]);
        let host = |x: Tensor<4>| {
            x.try_to_vec_as::<f32>().map_err(|_| ModelError::NotFinite { network: "detector", what: "readable output" })
        };
        let levels = self.forward(x, text, tap)?.into_iter().map(|(boxes, logits)| {
            let [_, _, rows, columns] = boxes.dims();
            let stride = height / rows.max(1);
            Ok(LevelMaps { stride, size: [rows, columns], boxes: host(boxes)?, logits: host(logits)? })
        });
        Ok(decoded(&levels.collect::<Result<Vec<_>, ModelError>>()?, classes))
    }
}

/// Bytes as 0 to 1, channel after channel.
fn planes(image: &Pixels, device: &burn::tensor::Device) -> Tensor<4> {
    let [height, width, channels] = image.dims();
    let mut values = Vec::with_capacity(height * width * channels);
    for channel in 0..channels {
        values.extend(image.bytes().iter().skip(channel).step_by(channels).map(|byte| f32::from(*byte) / 255.0));
    }
    Tensor::from_data(TensorData::new(values, [1, channels, height, width]), device)
}
