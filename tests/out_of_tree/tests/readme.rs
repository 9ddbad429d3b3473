//! README's Rust is the Rust of this crate, to the letter; its node runs here, its program is the binary.

const README: &str = include_str!("../../../README.md");
const COMPILED: [&str; 2] = [include_str!("../src/main.rs"), include_str!("../src/negative.rs")];

include!("../src/negative.rs");

#[test]
fn each_rust_block_of_the_readme_is_a_file_that_is_compiled_here() {
    let blocks: Vec<&str> = README.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), COMPILED.len());
    for block in blocks {
        assert!(COMPILED.contains(&block), "no file of this crate is this block of the README:\n{block}");
    }
}

#[test]
fn the_readmes_node_turns_black_into_white() {
    use kiln::exec::GraphBuilder;
    use kiln::nodes::{Environment, Session, files::Folders, image::EmptyImage};

    let environment = Environment::new(Folders::under(std::env::temp_dir()));
    let registry = kiln::nodes::registry().with::<Negative>().with::<White>();
    let engine = Session::new(environment, registry).into_engine();
    let graph = GraphBuilder::new();
    let black = graph.add(EmptyImage::node().width(4).height(2).batch_size(1).color(0));
    let white = graph.add(Negative::node().image(black).strength(1.0));
    graph.add(White::node().image(white));
    engine.run(graph.into_prompt()).unwrap();
}

/// Fails unless every pixel is white.
#[derive(Node)]
#[node(output_node)]
struct White {
    image: Image,
}
impl Execute for White {
    type Output = ();
    fn execute(self, _: &mut Cx) -> Result<(), NodeError> {
        let pixels = self.image.pixels().into_data().convert::<f32>().try_into_vec::<f32>().unwrap();
        assert!(!pixels.is_empty() && pixels.iter().all(|&p| p == 1.0), "{pixels:?}");
        Ok(())
    }
}
