//! What `derive(Node)` makes of a struct: definition, decoding, builder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_wraps, missing_docs, unreachable_pub)]

use kiln_exec::graph::{Group, SocketType};
use kiln_exec::*;

#[derive(Clone)]
struct Image;
object!(Image, "IMAGE", |_| 12);

/// Repeatedly smooths
/// an image.
#[derive(Node)]
#[node(class = "SmoothImage", display_name = "Smooth", category = "image/filter", outputs(smooth = "SMOOTH", count))]
struct Smooth {
    image: Image,
    /// How many passes to run.
    #[input(min = 1, max = 100, default = 3)]
    passes: u32,
    #[input(combo = ["box", "gauss"])]
    kernel: Combo,
    #[input(choices = files)]
    file: String,
    #[input(name = "class", lazy, optional, option("image_upload" = true))]
    class_: Lazy<f64>,
    mask: Option<Any>,
    id: UniqueId,
}
fn files(host: &Host) -> Vec<String> {
    host.get::<Vec<String>>().map(|files| (*files).clone()).unwrap_or_default()
}
impl Execute for Smooth {
    type Output = (Image, i64);
    fn execute(self, _: &mut Cx) -> Result<(Image, i64), NodeError> {
        assert!(self.class_.is_missing() && self.mask.is_none());
        assert_eq!((&*self.kernel, &*self.file, self.id.0.as_str()), ("box", "a.png", "smooth"));
        Ok((self.image, self.passes.into()))
    }
}

#[derive(Node)]
struct Blank {}
impl Execute for Blank {
    type Output = Image;
    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image)
    }
}

#[derive(Node)]
#[node(output_node, validates(n))]
struct Show {
    #[input(max = 10)]
    n: i64,
}
impl Execute for Show {
    type Output = WithUi<()>;
    fn validate(known: &ConstantInputs<'_>) -> Result<(), String> {
        match known.get_as::<i64>("n") {
            Some(13) => Err("13 brings bad luck".into()),
            _ => Ok(()),
        }
    }
    fn execute(self, _: &mut Cx) -> Result<WithUi<()>, NodeError> {
        Ok(WithUi { outcome: (), ui: Ui::new().with("n", self.n) })
    }
}

fn engine() -> Engine {
    let host = Host::new().with(vec!["a.png".to_owned(), "b.png".to_owned()]);
    Engine::builder(Registry::new().with::<Smooth>().with::<Blank>().with::<Show>()).host(host).build()
}

#[test]
fn a_struct_is_a_definition() {
    let def = Smooth::def();
    assert_eq!(
        (&*def.class_type, &*def.category, &*def.description),
        ("SmoothImage", "image/filter", "Repeatedly smooths an image.")
    );
    let names: Vec<&str> = def.inputs.iter().map(|input| &*input.name).collect();
    assert_eq!(names, ["image", "passes", "kernel", "file", "class", "mask", "id"]);
    let passes = def.find_input("passes").unwrap();
    assert_eq!((passes.ty.name(), passes.options["default"].clone()), (Some("INT"), json!(3)));
    assert_eq!(passes.options["tooltip"], json!("How many passes to run."));
    assert_eq!(def.find_input("kernel").unwrap().ty, SocketType::combo(["box", "gauss"]));
    assert!(def.find_input("class").unwrap().lazy);
    assert_eq!(def.find_input("id").unwrap().group, Group::Hidden);
    let outputs: Vec<(&str, Option<&str>)> = def.outputs.iter().map(|o| (&*o.name, o.ty.name())).collect();
    assert_eq!(outputs, [("SMOOTH", Some("IMAGE")), ("count", Some("INT"))]);
}

#[test]
fn options_that_are_looked_up_are_those_of_the_moment() {
    let engine = engine();
    let defs = engine.registry().defs_now(engine.host());
    assert_eq!(defs.get("SmoothImage").unwrap().find_input("file").unwrap().choices().unwrap().len(), 2);
}

#[test]
fn the_builder_writes_prompts_that_run() {
    let g = GraphBuilder::new();
    let (image, _) =
        g.add_as("smooth", Smooth::node().image(g.add(Blank::node())).passes(2).kernel("box").file("a.png"));
    let (_, count) = g.add_as("smooth2", Smooth::node().image(image).passes(4).kernel("box").file("a.png"));
    drop(count);
    let g = GraphBuilder::new();
    let smooth = Smooth::node().image(g.add(Blank::node())).passes(2).kernel("box").file("a.png");
    let (_, count) = g.add_as("smooth", smooth);
    g.add_as("show", Show::node().n(count));
    let report = engine().run(g.into_prompt()).unwrap();
    assert_eq!(report.ui("show").unwrap().get("n").unwrap(), [json!(2)]);
}

#[test]
fn a_refused_prompt_says_which_node_and_what_is_wrong() {
    let g = GraphBuilder::new();
    g.add_as("show", Show::node().n(13));
    let error = engine().run(g.into_prompt()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let refused = error.refused().unwrap();
    assert!(refused.node_errors["show"].errors[0].details.contains("13 brings bad luck"), "{refused:?}");
}

#[test]
fn an_input_that_the_validator_names_is_not_checked_against_its_maximum() {
    let g = GraphBuilder::new();
    g.add_as("show", Show::node().n(99));
    assert!(engine().run(g.into_prompt()).is_ok());
}

#[test]
fn a_missing_service_of_the_host_is_an_error_that_names_it() {
    let error = Host::new().require::<Vec<String>>().unwrap_err();
    assert!(error.message().contains("Vec<alloc::string::String>"), "{error}");
}
