//! Stable Diffusion on burn: what checkpoints hold, the networks they are, and how images are sampled with them.
//!
//! # From a file to a network
//! [`Checkpoint::open`] maps a file, reads its header, and recognises by tensor names and shapes alone what it holds
//! ([`detect`]). Each network has a folder in `nets/` with `config.rs` (plain sizes, found by `from_names`), `keys.rs`
//! (what files call the tensors) and `model.rs`: [`clip`], [`unet`], [`vae`], and beside them [`controlnet`], [`t2i`],
//! [`vision`], [`upscale`], [`taesd`], [`taehv`], [`detector`], [`segmenter`]. `config.init(&weights)` builds a network over [`ModelWeights`] after every tensor
//! was found in its shape; an error names all that are missing or misshapen.
//!
//! Networks hold weight handles, not tensors: a layer acquires its weights when it runs. So the same code serves weights
//! that stay in memory, are streamed in layer by layer, or lie in the page cache; and [`lora`] files or merges
//! change weights on their way, leaving the network as it is.
//!
//! # From a network to an image
//! [`tokenizer`] and [`text`] make prompts into conditioning; [`random`] draws torch's noise bit for bit; [`schedule`]
//! gives noise levels, [`sampler`] the 42 samplers as functions, [`sampling`] the path of KSampler with [`conditioning`]
//! of every kind. [`image`] resizes images with PyTorch's and PIL's numbers. [`ops`] are the tensor operators below
//! all of it, with shapes checked before burn sees them.
//!
//! [`sampling::ModelPatches`] are what a model carries to change its sampling, [`weight_hooks`] what a condition carries to
//! change the model's weights; [`save`] makes files of models again.
//!
//! # The wings, from the ground up
//! Each imports from those before it only: [`ops`], [`random`], the latent formats and [`image`]; `weights` (opened,
//! handed out by key, patched) and [`schedule`]; [`lora`], [`weight_hooks`] and `nets`; `checkpoint`, [`conditioning`], [`tokenizer`] and
//! [`sampler`]; [`text`] and [`sampling`]. Networks know no files, sampling knows no network family.
//!
//! # Where other families go
//! A family is a folder in `nets/` with `config.rs`, `keys.rs` and `model.rs` over weight handles, and a row of data
//! ([`family::Family`]): how its network is found in names and shapes, what its output means, its text encoders, its latent
//! format, where its files keep their parts. The row goes into one table ([`detect::families`]); an embedder adds its own
//! with [`family::Families::with`]. Nothing else asks for a family by name: loading, sampling, LoRA, merging, saving and the
//! memory plan ask the row or the [`Network`].
//!
//! | asked of | what |
//! |---|---|
//! | [`family::NetworkKind`] | whether a file holds the network, and where its tensors are |
//! | [`family::NetworkConfig`] | which tensors it takes, in the order of use; the network over weight handles |
//! | [`family::Family`] | prediction and schedule, latent format, text encoders, places in files |
//! | [`Network`] | a prediction for latents, levels and [`Extras`]; channels; LoRA keys; names in checkpoints; itself over other weights |
//! | [`LatentFormat`] | scale, shift, statistics, colours of any number of channels |
//!
//! Latents with frames, `[B, C, F, H, W]`, are `[B, C · F, H, W]` with the number of frames beside them: the same values in
//! the same order, so that samplers, masks and noise don't know of frames. `tests/made_up_family` is a family of a crate
//! outside.
//!
//! Beside the families there is room for more that see: a [`detector`] like Grounding DINO stands on boxes and suppression in
//! [`image`] and needs BERT as a text encoder; a [`segmenter`] like SAM 2.1 on prompts, transformer and mask decoder that are
//! there, with Hiera as its image encoder.
//!
//! # Example
//! The bundled model, opened and asked for one step:
//! ```
//! use burn::tensor::{Device, Tensor};
//! use kiln_memory::Budget;
//! use kiln_models::{Checkpoint, Extras, clip::{Hidden, Token}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/fluent-tiny.safetensors");
//! let checkpoint = Checkpoint::open(&path, &Budget::unlimited("host"))?;
//! let (device, text) = (Device::flex(), checkpoint.text.ok_or("no text encoder")?);
//! let mut chunk = vec![Token::Id(Token::START), Token::Id(320)];
//! chunk.resize(77, Token::Id(Token::END));
//! let encoder = text.get(kiln_models::detect::TextEncoderKind::L).ok_or("no CLIP-L")?;
//! let context = encoder.forward(&[chunk], Hidden::LAST, &device)?.hidden;
//! let noise = Tensor::<4>::ones([1, 4, 16, 16], &device);
//! let output = checkpoint.model.network.forward(noise, &[999.0], context, &Extras::default())?;
//! assert_eq!(output.dims(), [1, 4, 16, 16]);
//! # Ok(()) }
//! ```

mod checkpoint;
pub mod conditioning;
mod error;
pub mod image;
mod latent;
pub mod lora;
mod nets;
pub mod ops;
pub mod random;
pub mod sampler;
pub mod sampling;
pub mod schedule;
pub mod text;
pub mod tokenizer;
pub mod weight_hooks;
mod weights;

pub use checkpoint::{
    Checkpoint, Component, DiffusionModel, Encoder, Inventory, RandomCheckpoint, TextEncoders, detect, save, text_keys,
};
pub use error::{ModelError, TensorMismatch, TensorMismatches};
pub use latent::LatentFormat;
pub use nets::unet::unet_keys;
pub use nets::{
    ActivationFn, ActivationTap, ConditionInputs, ControlCall, ControlSource, Extras, Network, PassModifiers,
    ReferenceMethod, References, Residuals, SideInputs, clip, controlnet, detector, family, flux, gligen, hooks,
    hypernetwork, layers, llm, mmdit, qwen_image, qwen_vision, segmenter, t2i, t5, taehv, taesd, unet, upscale, vae,
    vae3d, vision, zimage,
};
pub use weights::{Mix, ModelWeights, Patches, WeightBuilder, component_label};
