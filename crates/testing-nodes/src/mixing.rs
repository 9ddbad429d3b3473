//! Nodes that mix images: lazily, and any number of them.

use kiln_exec::{Cx, Execute, Extras, FromValue, Lazy, Node, NodeError, Registry};

use crate::common::same_size;
use kiln_nodes::payload::{Image, Mask};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestLazyMixImages>();
    registry.add::<TestVariadicAverage>();
}

/// Mixes two images by a mask and asks only for those that show.
#[derive(Node)]
#[node(display_name = "Lazy Mix Images", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestLazyMixImages {
    image1: Lazy<Image>,
    image2: Lazy<Image>,
    mask: Mask,
}

/// Smallest and largest value of a mask.
fn range(mask: &Mask) -> Result<(f32, f32), NodeError> {
    let values = mask.values()?;
    let min = values.iter().copied().fold(f32::INFINITY, f32::min);
    Ok((min, values.iter().copied().fold(f32::NEG_INFINITY, f32::max)))
}

impl Execute for TestLazyMixImages {
    type Output = Image;

    fn needs(&self) -> Vec<&'static str> {
        let Ok((min, max)) = range(&self.mask) else { return Vec::new() };
        let mut needs = Vec::new();
        if self.image1.is_missing() && !(min == 1.0 && max == 1.0) {
            needs.push("image1");
        }
        if self.image2.is_missing() && !(min == 0.0 && max == 0.0) {
            needs.push("image2");
        }
        needs
    }

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        match range(&self.mask)? {
            (0.0, 0.0) => self.image1.get(),
            (1.0, 1.0) => self.image2.get(),
            _ => {
                let (first, second) = (self.image1.get()?, self.image2.get()?);
                same_size(&first, &second)?;
                let shares = Image::from_planes(self.mask.planes().repeat_dim(1, first.dims()[3]));
                same_size(&first, &shares)?;
                let shares = shares.pixels();
                Ok(Image::new(first.pixels() * (shares.clone() * -1.0 + 1.0) + second.pixels() * shares))
            }
        }
    }
}

/// The mean of any number of images: input1, input2, … as far as they go without a gap.
#[derive(Node)]
#[node(display_name = "Variadic Average", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestVariadicAverage {
    input1: Image,
    more: Extras,
}

impl Execute for TestVariadicAverage {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let mut sum = self.input1.pixels();
        let mut count = 1;
        while let Some(value) = self.more.get(&format!("input{}", count + 1)) {
            let name = format!("input{}", count + 1);
            let next =
                Image::from_value(value.clone()).map_err(|found| NodeError::wrong_type(&name, "IMAGE", &found))?;
            same_size(&self.input1, &next)?;
            sum = sum + next.pixels();
            count += 1;
        }
        Ok(Image::new(sum / f64::from(count)))
    }
}
