//! Nodes that each look at one behaviour of the engine: change detection, cycles, kinds of results, sockets of outputs.

use kiln_exec::{
    Any, ConstantInputs, Cx, Execute, Fingerprint, IntoValue, Node, NodeError, Out, Outcome, Registry, UniqueId, json,
};

use crate::common::{SIDE, plain};
use crate::mixing::TestLazyMixImages;
use crate::stubs::{StubImage, StubMask};
use kiln_nodes::latent::EmptyLatentImage;
use kiln_nodes::payload::{Clip, Image, Model, Vae};
use kiln_nodes::runtime::CxExt;
use kiln_nodes::sampling::KSampler;
use kiln_nodes::vae::VAEDecode;
use kiln_nodes::{CLIPTextEncode, payload};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<TestCustomIsChanged>();
    registry.add::<TestIsChangedWithConstants>();
    registry.add::<TestDynamicDependencyCycle>();
    registry.add::<TestMixedExpansionReturns>();
    registry.add::<TestSamplingInExpansion>();
    registry.add::<TestParallelSleep>();
    registry.add::<TestOutputNodeWithSocketOutput>();
}

/// A payload as a handle, for inputs of an expansion.
fn literal<T: IntoValue>(value: T) -> Out<T::Kind> {
    Out::value(value.into_value())
}

/// Passes an image on, and says on demand that it has changed.
#[derive(Node)]
#[node(display_name = "Custom IsChanged", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestCustomIsChanged {
    image: Image,
    #[allow(dead_code, reason = "only the fingerprint looks at it")]
    #[input(type = "BOOL", default = false)]
    should_change: Option<Any>,
}

impl Execute for TestCustomIsChanged {
    type Output = Image;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let changes = known.get("should_change").is_some_and(|value| value.is_truthy());
        Ok(if changes { Fingerprint::Always } else { Fingerprint::Stable })
    }

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(self.image)
    }
}

/// Multiplies an image; its fingerprint looks at constants only.
#[derive(Node)]
#[node(display_name = "IsChanged With Constants", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestIsChangedWithConstants {
    image: Image,
    #[input(default = 1.0, min = 0.0, max = 10.0)]
    value: f64,
}

impl Execute for TestIsChangedWithConstants {
    type Output = Image;

    fn fingerprint(known: &ConstantInputs<'_>) -> Result<Fingerprint, NodeError> {
        let value = known.get_as::<f64>("value").unwrap_or(1.0);
        let mean = match known.get_as::<Image>("image") {
            Some(image) => {
                let values = image.values()?;
                f64::from(values.iter().sum::<f32>()) / values.len().max(1) as f64
            }
            None => 1.0,
        };
        Ok(Fingerprint::Value(json!(mean * value)))
    }

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new(self.image.pixels() * self.value))
    }
}

/// Returns a graph whose nodes wait for each other.
#[derive(Node)]
#[node(display_name = "Dynamic Dependency Cycle", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestDynamicDependencyCycle {
    input1: Image,
    input2: Image,
}

impl Execute for TestDynamicDependencyCycle {
    type Output = Outcome<Image>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Image>, NodeError> {
        let Self { input1, input2 } = self;
        Ok(cx.expand(|graph| {
            let mask = graph.add(StubMask::node().value(0.5).height(SIDE).width(SIDE).batch_size(1));
            let third = Out::link(&format!("{}3", graph.prefix()).as_str().into(), 0);
            let mix = |first: Out<Image>, second: Out<Image>| {
                TestLazyMixImages::node().image1(first).image2(second).mask(&mask)
            };
            let second = graph.add(mix(literal(input1), third));
            graph.add(mix(second, literal(input2)))
        }))
    }
}

/// Returns values, with values in another form, or with a graph, depending on a number.
#[derive(Node)]
#[node(display_name = "Mixed Expansion Returns", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestMixedExpansionReturns {
    input1: f64,
}

impl Execute for TestMixedExpansionReturns {
    type Output = Outcome<(Image, Image)>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<(Image, Image)>, NodeError> {
        let environment = cx.environment()?;
        let white = plain(1.0, environment.device());
        let grey = |value| (plain(value, environment.device()), white.clone());
        if self.input1 <= 0.1 {
            return Ok(Outcome::Done(grey(0.1)));
        }
        if self.input1 <= 0.2 {
            return Ok(Outcome::Done(grey(0.2)));
        }
        Ok(cx.expand(|graph| {
            let stub = |content: &str| StubImage::node().content(content).height(SIDE).width(SIDE).batch_size(1);
            let mask = graph.add(StubMask::node().value(0.3).height(SIDE).width(SIDE).batch_size(1));
            let (black, white_stub) = (graph.add(stub("BLACK")), graph.add(stub("WHITE")));
            let mix = TestLazyMixImages::node().image1(black).image2(white_stub).mask(mask);
            (graph.add(mix), literal(white))
        }))
    }
}

/// Returns a whole text-to-image graph around payloads.
#[derive(Node)]
#[node(display_name = "Sampling In Expansion", category = "Testing/Nodes", module = "custom_nodes.testing_nodes")]
pub struct TestSamplingInExpansion {
    model: Model,
    clip: Clip,
    vae: Vae,
    #[input(default = 0, min = 0, max = u64::MAX)]
    seed: u64,
    #[input(default = 20, min = 1, max = 100)]
    steps: usize,
    #[input(default = 7.0, min = 0.0, max = 30.0)]
    cfg: f64,
    #[input(multiline)]
    prompt: String,
    #[input(multiline)]
    negative_prompt: String,
}

impl Execute for TestSamplingInExpansion {
    type Output = Outcome<Image>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Image>, NodeError> {
        Ok(cx.expand(|graph| {
            let encode = |text: String| CLIPTextEncode::node().clip(literal(self.clip.clone())).text(text);
            let positive: Out<payload::Conditioning> = graph.add(encode(self.prompt));
            let negative = graph.add(encode(self.negative_prompt));
            let latent = graph.add(EmptyLatentImage::node().width(SIDE).height(SIDE).batch_size(1));
            let sampler = KSampler::node()
                .model(literal(self.model))
                .positive(positive)
                .negative(negative)
                .latent_image(latent)
                .seed(self.seed)
                .steps(self.steps)
                .cfg(self.cfg)
                .sampler_name("euler_ancestral")
                .scheduler("normal")
                .denoise(1.0);
            let sampled = graph.add(sampler);
            graph.add(VAEDecode::node().samples(sampled).vae(literal(self.vae)))
        }))
    }
}

/// Returns three nodes that wait, side by side, and the mean of what they pass on.
#[derive(Node)]
#[node(
    display_name = "Test Parallel Sleep",
    category = "_for_testing",
    module = "custom_nodes.testing_nodes",
    output_node
)]
pub struct TestParallelSleep {
    image1: Image,
    image2: Image,
    image3: Image,
    #[input(default = 0.5, min = 0.0, max = 10.0, step = 0.01)]
    sleep1: f64,
    #[input(default = 0.5, min = 0.0, max = 10.0, step = 0.01)]
    sleep2: f64,
    #[input(default = 0.5, min = 0.0, max = 10.0, step = 0.01)]
    sleep3: f64,
    #[allow(dead_code, reason = "its presence keys results by node")]
    unique_id: UniqueId,
}

impl Execute for TestParallelSleep {
    type Output = Outcome<Image>;

    fn execute(self, cx: &mut Cx) -> Result<Outcome<Image>, NodeError> {
        let sleeps = [(self.image1, self.sleep1), (self.image2, self.sleep2), (self.image3, self.sleep3)];
        Ok(cx.expand(|graph| crate::asynchronous::averaged_sleeps(graph, sleeps)))
    }
}

/// An output node that others can go on from.
#[derive(Node)]
#[node(
    display_name = "Test Output Node With Socket Output",
    category = "_for_testing",
    module = "custom_nodes.testing_nodes",
    output_node
)]
pub struct TestOutputNodeWithSocketOutput {
    image: Image,
    #[input(default = 1.0, min = 0.0, max = 10.0)]
    value: f64,
}

impl Execute for TestOutputNodeWithSocketOutput {
    type Output = Image;

    fn execute(self, _: &mut Cx) -> Result<Image, NodeError> {
        Ok(Image::new(self.image.pixels() * self.value))
    }
}
