//! Lists of images as a whole: mixed, thinned, put into one image.

use kiln_exec::{Cx, Execute, List, Node, NodeError};
use kiln_models::image::Pixels;
use kiln_models::random::NumpyGenerator;

use crate::comfy::image::bytes::{joined, split};
use crate::payload::Image;

/// The most values that an image of cells may have.
const LARGEST_GRID: usize = 16384 * 16384 * 3;

/// Puts the images of a list into a random order.
#[derive(Node)]
#[node(
    display_name = "Shuffle Image Dataset",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct ShuffleDataset {
    /// The list of images.
    images: List<Image>,
    /// Which order: the same number is the same order.
    #[input(default = 0, min = 0, max = u64::MAX)]
    seed: u64,
}

impl Execute for ShuffleDataset {
    type Output = List<Image>;

    fn execute(self, _: &mut Cx) -> Result<List<Image>, NodeError> {
        Ok(order(self.images.len(), self.seed)?.into_iter().map(|i| self.images[i].clone()).collect())
    }
}

/// Puts images and their texts into the same random order.
#[derive(Node)]
#[node(
    display_name = "Shuffle Image-Text Dataset",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images", "texts"),
    experimental
)]
pub struct ShuffleImageTextDataset {
    /// The list of images.
    images: List<Image>,
    /// A text for each of them.
    #[input(option("multiline" = false))]
    texts: List<String>,
    /// Which order: the same number is the same order.
    #[input(default = 0, min = 0, max = u64::MAX)]
    seed: u64,
}

impl Execute for ShuffleImageTextDataset {
    type Output = (List<Image>, List<String>);

    fn execute(self, _: &mut Cx) -> Result<(List<Image>, List<String>), NodeError> {
        let (images, texts) = (self.images.len(), self.texts.len());
        if texts < images {
            return Err(NodeError::new(format!(
                "`texts` are {texts} for {images} `images`; link a list with a text for each image"
            )));
        }
        let order = order(images, self.seed)?;
        Ok((
            order.iter().map(|i| self.images[*i].clone()).collect(),
            order.iter().map(|i| self.texts[*i].clone()).collect(),
        ))
    }
}

fn order(count: usize, seed: u64) -> Result<Vec<usize>, NodeError> {
    let count = u32::try_from(count).map_err(|_| NodeError::new(format!("{count} images are too many to mix")))?;
    Ok(NumpyGenerator::from_long_seed(seed).permutation(count))
}

/// Leaves out images that look like an earlier one of the list.
#[derive(Node)]
#[node(
    display_name = "Image Deduplication",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct ImageDeduplication {
    /// The list of images.
    images: List<Image>,
    /// From what likeness on two images are the same: 1 is only what looks the same at 8 x 8 pixels.
    #[input(default = 0.95, min = 0.0, max = 1.0)]
    similarity_threshold: f64,
}

impl Execute for ImageDeduplication {
    type Output = List<Image>;

    fn execute(self, cx: &mut Cx) -> Result<List<Image>, NodeError> {
        let (mut kept, mut known): (Vec<Image>, Vec<u64>) = (Vec::new(), Vec::new());
        for image in self.images {
            cx.checkpoint()?;
            let found = first(&image)?.fingerprint()?;
            let likeness = |other: &u64| 1.0 - f64::from((found ^ other).count_ones()) / 64.0;
            if !known.iter().any(|other| likeness(other) >= self.similarity_threshold) {
                known.push(found);
                kept.push(image);
            }
        }
        Ok(List(kept))
    }
}

/// Puts images into the cells of one image, row by row.
#[derive(Node)]
#[node(
    display_name = "Image Grid",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct ImageGrid {
    /// The list of images.
    images: List<Image>,
    /// How many stand side by side.
    #[input(default = 4, min = 1, max = 20)]
    columns: usize,
    /// The width of a cell, in pixels.
    #[input(default = 256, min = 32, max = 2048)]
    cell_width: usize,
    /// The height of a cell, in pixels.
    #[input(default = 256, min = 32, max = 2048)]
    cell_height: usize,
    /// Pixels between the cells.
    #[input(default = 4, min = 0, max = 50)]
    padding: usize,
}

impl Execute for ImageGrid {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let Some(one) = self.images.first() else {
            return Err(NodeError::new("`images` is an empty list; a grid needs at least one image"));
        };
        let device = one.pixels().device();
        let rows = self.images.len().div_ceil(self.columns);
        let side = |count: usize, cell: usize| count * (cell + self.padding) - self.padding;
        let (height, width) = (side(rows, self.cell_height), side(self.columns, self.cell_width));
        if height.saturating_mul(width).saturating_mul(3) > LARGEST_GRID {
            return Err(NodeError::new(format!(
                "a grid of {} images would be {width}x{height} pixels; make the cells smaller or the images fewer",
                self.images.len()
            )));
        }
        let mut grid = vec![0; height * width * 3];
        for (i, image) in self.images.iter().enumerate() {
            cx.checkpoint()?;
            let cell = first(&image.rgb())?.resized(self.cell_height, self.cell_width)?;
            let (row, column) = (i / self.columns, i % self.columns);
            let (top, left) = (row * (self.cell_height + self.padding), column * (self.cell_width + self.padding));
            for (y, line) in cell.bytes().chunks_exact(self.cell_width * 3).enumerate() {
                let at = ((top + y) * width + left) * 3;
                grid[at..at + line.len()].copy_from_slice(line);
            }
        }
        joined(&[Pixels::new([height, width, 3], grid)?], &device)
    }
}

/// The first image of a batch, in bytes.
fn first(image: &Image) -> Result<Pixels, NodeError> {
    split(&Image::new(image.pixels().narrow(0, 0, 1.min(image.dims()[0]))))?
        .pop()
        .ok_or_else(|| NodeError::new("`images` holds a batch without images"))
}

/// Passes on all images of a list.
#[derive(Node)]
#[node(
    display_name = "Merge Image Lists",
    category = "dataset/image",
    module = "comfy_extras.nodes_dataset",
    outputs("images"),
    experimental
)]
pub struct MergeImageLists {
    /// The list of images.
    images: List<Image>,
}

impl Execute for MergeImageLists {
    type Output = List<Image>;

    fn execute(self, _: &mut Cx) -> Result<List<Image>, NodeError> {
        Ok(self.images)
    }
}
