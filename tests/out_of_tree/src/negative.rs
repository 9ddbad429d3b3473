use kiln::exec::{Cx, Execute, Node, NodeError};
use kiln::nodes::Image;

/// Turns an image into its negative.
#[derive(Node)]
#[node(category = "image/filter")]
struct Negative {
    image: Image, // a socket
    /// 0 leaves the image, 1 inverts it.
    #[input(min = 0.0, max = 1.0, default = 1.0)]
    strength: f64, // a widget
}
impl Execute for Negative {
    type Output = Image;
    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        let s = self.strength as f32;
        Ok(Image::new(self.image.pixels() * (1.0 - 2.0 * s) + s))
    }
}
