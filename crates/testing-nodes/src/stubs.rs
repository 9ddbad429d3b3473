//! Constants: images, masks, numbers.

use burn::tensor::Tensor;
use kiln_exec::{Cx, Execute, Node, NodeError, Registry};
use kiln_models::random::TorchGenerator;

use kiln_nodes::payload::{Image, Mask};
use kiln_nodes::runtime::CxExt;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<StubImage>();
    registry.add::<StubConstantImage>();
    registry.add::<StubMask>();
    registry.add::<StubInt>();
    registry.add::<StubFloat>();
}

/// Most images of one batch.
const BATCH: u64 = 1024 * 1024 * 1024;
/// Most rows.
const ROWS: u64 = 1024 * 1024 * 1024;
/// Most columns.
const COLUMNS: u64 = 4096 * 4096 * 4096;

/// A white, black or noisy image.
#[derive(Node)]
#[node(display_name = "Stub Image", category = "Testing/Stub Nodes", module = "custom_nodes.testing_nodes")]
pub struct StubImage {
    #[input(combo = ["WHITE", "BLACK", "NOISE"])]
    content: String,
    #[input(default = 512, min = 1, max = ROWS, step = 1)]
    height: usize,
    #[input(default = 512, min = 1, max = COLUMNS, step = 1)]
    width: usize,
    #[input(default = 1, min = 1, max = BATCH, step = 1)]
    batch_size: usize,
}

impl Execute for StubImage {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let dims = [self.batch_size, self.height, self.width, 3];
        let environment = cx.environment()?;
        Ok(match self.content.as_str() {
            "WHITE" => Image::new(Tensor::ones(dims, environment.device())),
            "BLACK" => Image::new(Tensor::zeros(dims, environment.device())),
            _ => {
                let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let noise = TorchGenerator::new(seed.as_nanos() as u64).rand(dims.iter().product());
                Image::from_values(noise, dims, environment.device())?
            }
        })
    }
}

/// An image of one grey.
#[derive(Node)]
#[node(display_name = "Stub Constant Image", category = "Testing/Stub Nodes", module = "custom_nodes.testing_nodes")]
pub struct StubConstantImage {
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    value: f64,
    #[input(default = 512, min = 1, max = ROWS, step = 1)]
    height: usize,
    #[input(default = 512, min = 1, max = COLUMNS, step = 1)]
    width: usize,
    #[input(default = 1, min = 1, max = BATCH, step = 1)]
    batch_size: usize,
}

impl Execute for StubConstantImage {
    type Output = Image;

    fn execute(self, cx: &mut Cx) -> Result<Image, NodeError> {
        let dims = [self.batch_size, self.height, self.width, 3];
        Ok(Image::new(Tensor::full(dims, self.value, cx.environment()?.device())))
    }
}

/// A mask of one value.
#[derive(Node)]
#[node(display_name = "Stub Mask", category = "Testing/Stub Nodes", module = "custom_nodes.testing_nodes")]
pub struct StubMask {
    #[input(default = 0.5, min = 0.0, max = 1.0, step = 0.01)]
    value: f64,
    #[input(default = 512, min = 1, max = ROWS, step = 1)]
    height: usize,
    #[input(default = 512, min = 1, max = COLUMNS, step = 1)]
    width: usize,
    #[input(default = 1, min = 1, max = BATCH, step = 1)]
    batch_size: usize,
}

impl Execute for StubMask {
    type Output = Mask;

    fn execute(self, cx: &mut Cx) -> Result<Mask, NodeError> {
        let dims = [self.batch_size, self.height, self.width];
        Ok(Mask::new(Tensor::full(dims, self.value, cx.environment()?.device())))
    }
}

/// A whole number.
#[derive(Node)]
#[node(display_name = "Stub Int", category = "Testing/Stub Nodes", module = "custom_nodes.testing_nodes")]
pub struct StubInt {
    #[input(default = 0, min = -0xffff_ffff_i64, max = 0xffff_ffff_i64, step = 1)]
    value: i64,
}

impl Execute for StubInt {
    type Output = i64;

    fn execute(self, _: &mut Cx) -> Result<i64, NodeError> {
        Ok(self.value)
    }
}

/// A number.
#[derive(Node)]
#[node(display_name = "Stub Float", category = "Testing/Stub Nodes", module = "custom_nodes.testing_nodes")]
pub struct StubFloat {
    #[input(default = 0.0, min = -1.0e38, max = 1.0e38, step = 0.01)]
    value: f64,
}

impl Execute for StubFloat {
    type Output = f64;

    fn execute(self, _: &mut Cx) -> Result<f64, NodeError> {
        Ok(self.value)
    }
}
