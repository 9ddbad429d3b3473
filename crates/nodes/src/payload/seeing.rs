//! `YOLOWORLDMODEL`, `ESAMMODEL`, `DETECTIONS`, `BOUNDING_BOX`: networks that see, and what they saw. Weights count against
//! the budget of the environment, not here.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use kiln_exec::{FromValue, IntoValue, LinksInto, NodeError, Value, json, kind, object};
use kiln_models::clip::TextModel;
use kiln_models::detector::Detector;
use kiln_models::image::Detection;
use kiln_models::segmenter::Segmenter;
use kiln_models::text::{class_features, class_tokens};
use kiln_models::tokenizer::Vocabulary;
use serde::{Deserialize, Serialize};

/// Classes that may be asked for at once: each has a map of scores of its own.
const MOST_CLASSES: usize = 4096;

/// A list of classes and its features.
type Known = Option<(Vec<String>, Tensor<2>)>;

/// A detector, with the text encoder that it is told its classes by.
#[derive(Clone, Debug)]
pub struct DetectorModel {
    /// The network.
    pub network: Arc<Detector>,
    /// The text encoder.
    pub text: Arc<TextModel>,
    /// The classes that its loader chose, where a loader chooses them.
    pub categories: Option<Arc<[String]>>,
    /// Where it runs.
    pub device: Device,
    /// The last list of classes: most runs ask for the same again.
    known: Arc<Mutex<Known>>,
}

object!(DetectorModel, "YOLOWORLDMODEL");

impl DetectorModel {
    /// A detector and its text encoder.
    pub fn new(network: Detector, text: TextModel, device: Device) -> Self {
        let (network, text) = (Arc::new(network), Arc::new(text));
        Self { network, text, categories: None, device, known: Arc::default() }
    }

    /// The same, for these classes.
    pub fn with_categories(self, categories: Vec<String>) -> Self {
        Self { categories: Some(categories.into()), ..self }
    }

    /// The features of classes, `[classes, text]`.
    ///
    /// # Errors
    /// When there is no class or more than 4096, or when weights can't be had.
    pub fn features(&self, classes: &[String], vocabulary: &Vocabulary) -> Result<Tensor<2>, NodeError> {
        if classes.is_empty() || classes.len() > MOST_CLASSES {
            let count = classes.len();
            return Err(NodeError::new(format!(
                "`categories` are {count} classes; 1 to {MOST_CLASSES} can be asked for"
            )));
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((names, features)) = &*known
            && names == classes
        {
            return Ok(features.clone());
        }
        let (rows, cut) = class_tokens(classes, vocabulary, self.text.config().positions)?;
        for class in cut {
            tracing::warn!(
                class = classes[class],
                "the name of a class is longer than its text encoder reads; it is cut"
            );
        }
        let features = class_features(&self.text, &rows, &self.device)?;
        *known = Some((classes.to_vec(), features.clone()));
        Ok(features)
    }
}

/// A segmenter.
#[derive(Clone, Debug)]
pub struct SegmenterModel {
    /// The network.
    pub network: Arc<Segmenter>,
    /// Where it runs.
    pub device: Device,
}

object!(SegmenterModel, "ESAMMODEL");

/// What a detector found in each image, with the names of the classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Detections {
    /// The boxes of each image, the best first.
    pub images: Arc<[Vec<Detection>]>,
    /// The classes that boxes are numbered by.
    pub categories: Arc<[String]>,
}

object!(Detections, "DETECTIONS", |found| found.images.iter().map(|boxes| size_of_val(&boxes[..]) as u64).sum());

/// A box in an image's pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Its left side.
    pub x: f64,
    /// Its upper side.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What it is around.
    #[serde(default)]
    pub label: String,
    /// How sure that is.
    #[serde(default = "certain")]
    pub score: f64,
}

fn certain() -> f64 {
    1.0
}

impl BoundingBox {
    /// Left, top, right, bottom.
    pub fn corners(&self) -> [f64; 4] {
        [self.x, self.y, self.x + self.width, self.y + self.height]
    }
}

/// Boxes for images: a list for each of them, or one list for every one. On a link they are JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundingBoxes {
    lists: Arc<[Vec<BoundingBox>]>,
    /// Whether the only list is every image's.
    shared: bool,
}

impl BoundingBoxes {
    /// A list for each image.
    pub fn per_image(lists: Vec<Vec<BoundingBox>>) -> Self {
        Self { lists: lists.into(), shared: false }
    }

    /// The boxes of an image.
    pub fn of(&self, image: usize) -> &[BoundingBox] {
        self.lists.get(if self.shared { 0 } else { image }).map_or(&[], Vec::as_slice)
    }

    fn from_json(json: &serde_json::Value) -> Option<Self> {
        let one = |json: &serde_json::Value| BoundingBox::deserialize(json).ok();
        let list = |json: &serde_json::Value| json.as_array()?.iter().map(one).collect::<Option<Vec<_>>>();
        if json.is_object() {
            return Some(Self { lists: vec![vec![one(json)?]].into(), shared: true });
        }
        let all = json.as_array()?;
        if all.iter().all(serde_json::Value::is_array) && !all.is_empty() {
            return Some(Self::per_image(all.iter().map(list).collect::<Option<Vec<_>>>()?));
        }
        Some(Self { lists: vec![list(json)?].into(), shared: true })
    }
}

impl FromValue for BoundingBoxes {
    type Kind = Self;
    const TYPE: &'static str = "BOUNDING_BOX";

    fn from_value(value: Value) -> Result<Self, Value> {
        let found = match &value {
            Value::Json(json) => Self::from_json(json),
            _ => None,
        };
        found.ok_or(value)
    }
}

impl IntoValue for BoundingBoxes {
    type Kind = Self;
    const TYPE: &'static str = "BOUNDING_BOX";

    fn into_value(self) -> Value {
        Value::from_json(&json!(*self.lists))
    }
}

impl LinksInto<BoundingBoxes> for BoundingBoxes {}
impl LinksInto<kind::Any> for BoundingBoxes {}
