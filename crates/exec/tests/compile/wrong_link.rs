//! A latent linked into an image input: the message names the node to put between.
use kiln_exec::*;

#[derive(Clone)]
struct Image;
object!(Image, "IMAGE");
#[derive(Clone)]
struct Latent;
object!(Latent, "LATENT");

#[derive(Node)]
struct EmptyLatent {}
impl Execute for EmptyLatent {
    type Output = Latent;
    fn execute(self, _: &mut Cx) -> Result<Latent, NodeError> {
        Ok(Latent)
    }
}

#[derive(Node)]
#[node(output_node)]
struct Save {
    images: Image,
}
impl Execute for Save {
    type Output = ();
    fn execute(self, _: &mut Cx) -> Result<(), NodeError> {
        let _ = self.images;
        Ok(())
    }
}

fn main() {
    let g = GraphBuilder::new();
    let latent = g.add(EmptyLatent::node());
    g.add(Save::node().images(latent));
}
