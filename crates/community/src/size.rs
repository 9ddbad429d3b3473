//! The size of images, from essentials.

use kiln_exec::{Cx, Execute, Node, NodeError, Registry};
use kiln_nodes::payload::Image;

pub(super) fn register(registry: &mut Registry) {
    registry.add::<GetImageSizePlus>();
}

/// Width, height and number of images.
#[derive(Node)]
#[node(
    class = "GetImageSize+",
    display_name = "🔧 Get Image Size",
    category = "essentials/image utils",
    module = "custom_nodes.comfyui_essentials",
    outputs(width, height, count)
)]
struct GetImageSizePlus {
    /// The images.
    image: Image,
}

impl Execute for GetImageSizePlus {
    type Output = (usize, usize, usize);

    fn execute(self, _: &mut Cx) -> Result<(usize, usize, usize), NodeError> {
        let [count, height, width, _] = self.image.dims();
        Ok((width, height, count))
    }
}
