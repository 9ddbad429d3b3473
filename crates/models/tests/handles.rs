//! Networks take their weights by handle: nothing is read when they are built, and each use goes through the pager.
//!
//! The exception are embedding tables, of which rows are taken: they never stay, and no pass reads them whole.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use burn::tensor::{Device, Tensor};
use bytes::Bytes;
use kiln_memory::{Budget, HostPager, SourceError, TensorInfo, TensorShapes, TensorSource, WeightFile};
use kiln_models::{
    ModelError, ModelWeights,
    clip::{Hidden, Token},
    controlnet::{ControlNetConfig, Hint, UnionConfig},
    detect::Detected,
    gligen::{FuserConfig, GligenConfig},
    hypernetwork::{HypernetworkConfig, LayerConfig, Nonlinearity},
    image::Planes,
    llm::{LlmConfig, LlmKind, Positions, States},
    qwen_vision::{QwenVisionConfig, prepared},
    t5::T5Config,
    taehv::{TaehvConfig, TaehvHalf},
    unet::{Extras, Heads, Middle, UNetConfig, Variant},
    upscale::{CompactConfig, RrdbConfig, UpscaleConfig},
    vae::VaeConfig,
};

type Reads = Arc<Mutex<BTreeMap<String, usize>>>;

/// Weights by the recipe, with a note of each reading. Embedding tables lie in memory as in a file, so that rows can be
/// taken.
struct Watched {
    inner: Arc<dyn TensorSource>,
    reads: Reads,
}

impl TensorSource for Watched {
    fn inner(&self) -> &[Arc<dyn TensorSource>] {
        std::slice::from_ref(&self.inner)
    }
    fn label(&self) -> String {
        self.inner.label()
    }
    fn names(&self) -> Vec<&str> {
        self.inner.names()
    }
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.inner.info(name)
    }
    fn slice(&self, name: &str) -> Option<Bytes> {
        is_table(name).then(|| Bytes::from(vec![0; self.info(name).unwrap().bytes()]))
    }
    fn read_f32(&self, name: &str, out: &mut [f32]) -> Result<(), SourceError> {
        *self.reads.lock().unwrap().entry(name.to_owned()).or_default() += 1;
        self.inner.read_f32(name, out)
    }
}

fn is_table(name: &str) -> bool {
    ["_embedding.weight", "shared.weight", "embed_tokens.weight"].iter().any(|end| name.ends_with(end))
}

/// What the bundled model holds.
fn bundled() -> Detected {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
    Detected::in_checkpoint(&TensorShapes::of(&*WeightFile::open(path).unwrap())).unwrap()
}

/// Makes two passes with room for everything, and two without any: every weight is read once, and once per pass.
fn every_weight_by_handle<N>(
    names: &TensorShapes,
    init: impl Fn(&ModelWeights) -> Result<N, ModelError>,
    pass: impl Fn(&N) -> Result<(), ModelError>,
) {
    for (limit, times) in [(u64::MAX, 1), (0, 2)] {
        let (reads, budget) = (Reads::default(), Budget::unlimited("test"));
        let pager = HostPager::of(&budget);
        pager.set_limit(limit);
        pager.set_slots(0); // what is brought ahead at the end of a pass would be counted, too
        let source = Watched { inner: Arc::new(common::computed(names)), reads: reads.clone() };
        let network = init(&ModelWeights::plain(source, "network", &budget)).unwrap();
        assert_eq!(*reads.lock().unwrap(), BTreeMap::new(), "nothing is read when a network is built");
        pass(&network).unwrap();
        pass(&network).unwrap();
        let whole = names.iter().map(|(name, _)| name).filter(|name| !is_table(name));
        let expected: BTreeMap<_, _> = whole.map(|name| (name.to_owned(), times)).collect();
        assert_eq!(*reads.lock().unwrap(), expected, "limit {limit}");
        assert_eq!((pager.resident() > 0, pager.pinned()), (limit > 0, 0));
    }
}

#[test]
fn a_unet_takes_every_weight_by_handle() {
    let config = bundled().unet().unwrap().config;
    let (width, device) = (config.context_dim.unwrap(), Device::flex());
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |unet| {
            let (x, context) = (Tensor::ones([1, 4, 8, 8], &device), Tensor::ones([1, 77, width], &device));
            unet.forward(x, &[500.0], &context, &Extras::default()).map(drop)
        },
    );
}

#[test]
fn networks_over_frames_take_every_weight_by_handle() {
    let device = Device::flex();
    let config = UNetConfig {
        in_channels: 8,
        out_channels: 4,
        model_channels: 32,
        res_blocks: vec![1; 2],
        channel_mult: vec![1, 2],
        depth: vec![1; 2],
        depth_output: vec![1; 4],
        middle: Middle::Transformer(1),
        context_dim: Some(24),
        linear_projection: true,
        adm_channels: Some(48),
        heads: Heads::Width(64),
        variant: Variant::Video { context: true },
    };
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |unet| {
            let (x, context) = (Tensor::ones([2, 8, 4, 4], &device), Tensor::ones([2, 1, 24], &device));
            let y = Tensor::ones([2, 48], &device);
            unet.forward(x, &[500.0; 2], &context, &Extras { y: Some(&y), frames: Some(2), ..Extras::default() })
                .map(drop)
        },
    );
    let decoder = VaeConfig {
        channels: 32,
        mult: vec![1; 2],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 4,
        embed_dim: 4,
        encoder: None,
        quant: false,
        post_quant: false,
        encoder_attention: vec![false; 2],
        decoder_attention: vec![false; 2],
        middle_attention: true,
        frames: true,
        packed: false,
    };
    every_weight_by_handle(
        &decoder.tensors().unwrap(),
        |weights| decoder.init(weights),
        |vae| vae.decode_image(Tensor::ones([2, 4, 4, 4], &device)).map(drop),
    );
    let channels = |channels| TaehvHalf { channels, frames: [1, 2, 2] };
    let (encoder, decoder) = (channels([8; 4]), channels([16, 8, 8, 8]));
    let tiny = TaehvConfig { latent: 4, patch: 1, leaky: false, encoder, decoder };
    every_weight_by_handle(
        &tiny.tensors().unwrap(),
        |weights| tiny.init(weights),
        |net| {
            net.decode(Tensor::ones([1, 4, 2, 2], &device))?;
            net.encode(Tensor::ones([4, 3, 16, 16], &device)).map(drop)
        },
    );
}

#[test]
fn a_text_encoder_takes_every_weight_by_handle_and_rows_of_its_tables() {
    let config = bundled().text[0].1.config.clip().unwrap().clone();
    let device = Device::flex();
    let chunk: Vec<Token> = (0..77).map(Token::Id).collect();
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |text| {
            // The last layer's state, normalised, is what is pooled as well: the norm is used once.
            text.forward(std::slice::from_ref(&chunk), Hidden::LAST, &device).map(drop)
        },
    );
}

#[test]
fn t5_and_language_models_take_every_weight_by_handle_and_rows_of_their_tables() {
    let device = Device::flex();
    let row: Vec<Token> = (0..9).map(Token::Id).collect();
    let (vocabulary, width, inner, heads) = (16, 8, 8, 2);
    let t5 = T5Config { vocabulary, width, inner, heads, mlp: 8, layers: 2, buckets: 32, own_distances: false };
    every_weight_by_handle(
        &t5.tensors().unwrap(),
        |weights| t5.init(weights),
        |net| net.forward(std::slice::from_ref(&row), -1, None, &device).map(drop),
    );
    for kind in [LlmKind::Qwen3, LlmKind::Mistral3, LlmKind::Qwen25Vl] {
        let (layers, heads, kv_heads, head_width) = (2, 2, 1, 128);
        let (final_norm, interleaved) = (true, false);
        let config =
            LlmConfig { kind, vocabulary, width, layers, heads, kv_heads, head_width, mlp: 8, final_norm, interleaved };
        every_weight_by_handle(
            &config.tensors().unwrap(),
            |weights| config.init(weights),
            |net| {
                let x = net.embed(&row, &device)?;
                net.forward(x, &Positions::new(row.len(), &[]), None, States::Normalised).map(drop)
            },
        );
    }
    let vision = QwenVisionConfig { width: 16, layers: 8, heads: 2, mlp: 8, merged: 64, output: 8 };
    let image = prepared(&Planes::new([1, 3, 56, 84], vec![0.5; 3 * 56 * 84]).unwrap(), &device).unwrap();
    every_weight_by_handle(
        &vision.tensors().unwrap(),
        |weights| vision.init(weights),
        |net| net.forward(&image).map(drop),
    );
}

#[test]
fn an_autoencoder_takes_every_weight_by_handle() {
    let config = bundled().vae.unwrap().config;
    let device = Device::flex();
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |vae| {
            vae.decode_image(Tensor::ones([1, 4, 4, 4], &device))?;
            vae.encode_image(Tensor::ones([1, 32, 32, 3], &device)).map(drop)
        },
    );
}

#[test]
fn a_controlnet_takes_every_weight_by_handle() {
    let unet = bundled().unet().unwrap().config;
    let (width, device) = (unet.context_dim.unwrap(), Device::flex());
    let hint = vec![16, 16, 32, 32, 96, 96, 256, unet.model_channels];
    let config = ControlNetConfig { hint, unet, hint_channels: 3, union: None };
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |net| {
            let (x, hint) = (Tensor::ones([1, 4, 8, 8], &device), Tensor::ones([1, 3, 64, 64], &device));
            net.forward(x, hint, &[500.0], &Tensor::ones([1, 77, width], &device), None).map(drop)
        },
    );
}

#[test]
fn a_union_controlnet_takes_every_weight_by_handle() {
    let unet = bundled().unet().unwrap().config;
    let (width, device) = (unet.context_dim.unwrap(), Device::flex());
    let union = Some(UnionConfig { kinds: 2, width: unet.model_channels, layers: 1, spread: 16 });
    let config =
        ControlNetConfig { hint: vec![8, 8, 8, 8, 8, 8, 8, unet.model_channels], unet, hint_channels: 3, union };
    every_weight_by_handle(
        &config.tensors().unwrap(),
        |weights| config.init(weights),
        |net| {
            let (x, image) = (Tensor::ones([1, 4, 8, 8], &device), Tensor::ones([1, 3, 64, 64], &device));
            let hint = Hint { image, kind: Some(1) };
            net.forward(x, hint, &[500.0], &Tensor::ones([1, 77, width], &device), None).map(drop)
        },
    );
}

#[test]
fn gligen_and_hypernetworks_take_every_weight_by_handle() {
    let device = Device::flex();
    let fusers = vec![FuserConfig { channels: 64, heads: 1 }; 2];
    let gligen = GligenConfig { fusers, text: 32, hidden: 16, token: 32 };
    every_weight_by_handle(
        &gligen.tensors().unwrap(),
        |weights| gligen.init(weights),
        |net| {
            let placed = net.placed(&[[0.0, 0.0, 0.5, 0.5]], vec![Tensor::ones([1, 32], &device)], &device)?;
            (0..2).try_for_each(|n| net.fused(n, Tensor::ones([1, 4, 64], &device), &placed).map(drop))
        },
    );
    let linear = |name: &str| LayerConfig::Linear { name: name.into(), inputs: 16, outputs: 16, bends: true };
    let norm = |name: &str| LayerConfig::Norm { name: name.into(), width: 16 };
    let sides = [vec![linear("16.0.linear.0"), norm("16.0.linear.1")], vec![linear("16.1.linear.0")]];
    let widths = [(16, sides)].into_iter().collect();
    let hypernetwork = HypernetworkConfig { nonlinearity: Nonlinearity::Relu, widths };
    every_weight_by_handle(
        &hypernetwork.tensors().unwrap(),
        |weights| hypernetwork.init(weights),
        |net| (0..2).try_for_each(|side| net.forward(side, &Tensor::ones([1, 3, 16], &device)).map(drop)),
    );
}

#[test]
fn upscalers_take_every_weight_by_handle() {
    let device = Device::flex();
    let compact = CompactConfig { image_channels: 3, channels: 8, last: 4, scale: 2, slopes: 8 };
    let rrdb = RrdbConfig { image_channels: 3, unshuffle: 1, channels: 8, growth: 4, blocks: 1, doublings: 2 };
    for config in [UpscaleConfig::Compact(compact), UpscaleConfig::Rrdb(rrdb)] {
        every_weight_by_handle(
            &config.tensors().unwrap(),
            |weights| config.init(weights),
            |net| net.forward(Tensor::ones([1, 3, 8, 8], &device)).map(drop),
        );
    }
}
