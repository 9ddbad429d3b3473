//! What is asked of a detector: classes, and how sure it must be. Images to boxes.

use kiln_exec::{Cx, NodeError};
use kiln_models::detector::DetectOptions;
use kiln_models::image::{Detection, Pixels, Suppression, thinned};

use crate::payload::{DetectorModel, Image};
use crate::runtime::environment::CxExt;

/// The overlap of the detector's own suppression, and how many boxes it keeps; the packs have no inputs for them.
const OWN_OVERLAP: f64 = 0.7;
pub(super) const OWN_MOST: usize = 300;
/// What a detector holds while it looks at an image.
const ROOM: u64 = 100 << 20;

/// A question to a detector.
#[derive(Debug, Clone)]
pub(super) struct Query {
    /// Names of classes; an empty one takes part, and what it finds is left out.
    pub(super) categories: Vec<String>,
    /// Whether an empty class is added where there is none.
    pub(super) background: bool,
    pub(super) confidence: f64,
    /// The overlap of the second suppression.
    pub(super) overlap: f64,
    pub(super) agnostic: bool,
    pub(super) most: usize,
}

impl Query {
    /// Names between commas; empty ones stay.
    pub(super) fn names(categories: &str) -> Vec<String> {
        categories.split(',').map(|name| name.trim().to_owned()).collect()
    }

    /// The boxes in each of some images.
    pub(super) fn ask(
        &self,
        cx: &Cx,
        model: &DetectorModel,
        images: &[Pixels],
    ) -> Result<Vec<Vec<Detection>>, NodeError> {
        if self.categories.iter().all(String::is_empty) {
            return Err(NodeError::new("`categories` names no class; write what is to be found, with commas between"));
        }
        let mut classes = self.categories.clone();
        if self.background && !classes.iter().any(String::is_empty) {
            classes.push(String::new());
        }
        let _room = cx.room("detecting", ROOM, "Smaller images don't help here: close other programs")?;
        let text = model.features(&classes, &*cx.environment()?.vocabularies().clip().map_err(NodeError::from)?)?;
        let suppression = Suppression { overlap: OWN_OVERLAP, agnostic: false, most: self.most.max(OWN_MOST) };
        let options = DetectOptions { confidence: self.confidence, suppression, ..DetectOptions::default() };
        let mut found = Vec::with_capacity(images.len());
        for image in images {
            cx.checkpoint()?;
            let boxes = model.network.detect(image, &text, &options)?;
            let boxes: Vec<Detection> = boxes.into_iter().map(Detection::through_centre).collect();
            let mut boxes = thinned(&boxes, self.overlap, self.agnostic);
            // An empty class finds as much as the others; only what is wanted counts.
            boxes.retain(|found| classes.get(found.class).is_some_and(|name| !name.is_empty()));
            boxes.truncate(self.most);
            found.push(boxes);
        }
        Ok(found)
    }
}

/// Each image's bytes: red, green and blue, as files would hold them.
pub(super) fn pixels(image: &Image) -> Result<Vec<Pixels>, NodeError> {
    let image = image.rgb();
    let [batch, height, width, channels] = image.dims();
    if batch == 0 || height == 0 || width == 0 {
        return Err(NodeError::new(format!(
            "`image` is {batch} images of {height} x {width}; there is nothing to look at"
        )));
    }
    let bytes = image.to_bytes()?;
    let one = |bytes: &[u8]| Pixels::new([height, width, channels], bytes.to_vec()).map_err(NodeError::from);
    bytes.chunks_exact(height * width * channels).map(one).collect()
}
