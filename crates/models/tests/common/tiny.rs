//! Small checkpoints of every family: real layouts and names, narrow networks, weights that are a function of their name.
#![allow(dead_code, clippy::unwrap_used)]

use indexmap::IndexMap;
use kiln_memory::{TensorShapes, hash_uniform};
use kiln_models::{
    clip::{Activation, TextConfig},
    unet::{Heads, Middle, UNetConfig, Variant},
    vae::VaeConfig,
};

/// Values by name.
pub(crate) type Tensors = IndexMap<String, (Vec<usize>, Vec<f32>)>;

/// Width of every network here: the narrowest that has a whole head of 64.
pub(crate) const WIDTH: usize = 64;
/// Rows of the token tables.
pub(crate) const VOCABULARY: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FamilyCase {
    Sd1,
    Sd1Inpainting,
    InstructPix2Pix,
    Sd2Eps,
    Sd2V,
    Sd2Inpainting,
    Sdxl,
    SdxlV,
    Playground,
    Refiner,
}

/// The parts of a checkpoint in the networks' own keys.
pub(crate) struct Parts {
    pub(crate) family: FamilyCase,
    pub(crate) unet: Tensors,
    /// CLIP-L in a checkpoint's Hugging Face names, OpenCLIP where the family has it there; each with Hugging Face's keys.
    pub(crate) texts: Vec<(Encoder, Tensors)>,
    pub(crate) vae: Tensors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    L,
    H,
    G,
}

impl FamilyCase {
    pub(crate) fn parts(self) -> Parts {
        let texts = self.encoders().iter().map(|encoder| (*encoder, encoder.tensors())).collect();
        let mut unet = values("unet.", &self.unet().tensors().unwrap());
        if self == Self::Sd2V {
            let (_, bias) = unet.get_mut("output_blocks.11.1.transformer_blocks.0.norm1.bias").unwrap();
            for v in bias {
                *v *= 6.0;
            }
        }
        Parts { family: self, unet, texts, vae: values("vae.", &vae().tensors().unwrap()) }
    }

    fn encoders(self) -> &'static [Encoder] {
        match self {
            Self::Sd1 | Self::Sd1Inpainting | Self::InstructPix2Pix => &[Encoder::L],
            Self::Sd2Eps | Self::Sd2V | Self::Sd2Inpainting => &[Encoder::H],
            Self::Sdxl | Self::SdxlV | Self::Playground => &[Encoder::L, Encoder::G],
            Self::Refiner => &[Encoder::G],
        }
    }

    fn is_sd1(self) -> bool {
        self.encoders() == [Encoder::L]
    }

    /// Width of the vector beside the time step.
    pub(crate) fn adm(self) -> Option<usize> {
        match self {
            Self::Sdxl | Self::SdxlV | Self::Playground => Some(WIDTH + 6 * 256),
            Self::Refiner => Some(WIDTH + 5 * 256),
            _ => None,
        }
    }

    pub(crate) fn context(self) -> usize {
        WIDTH * self.encoders().len()
    }

    pub(crate) fn channels(self) -> usize {
        match self {
            Self::Sd1Inpainting | Self::Sd2Inpainting => 9,
            Self::InstructPix2Pix => 8,
            _ => 4,
        }
    }

    /// SD2 has all twelve output blocks: its prediction type is read off the last one.
    fn unet(self) -> UNetConfig {
        let sd2 = self.encoders() == [Encoder::H];
        let (res_blocks, depth, depth_output) = if sd2 {
            let first = |n: usize| [vec![1], vec![0; n - 1]].concat();
            (vec![2; 4], first(8), first(12))
        } else if self.is_sd1() {
            (vec![1; 2], vec![1, 1], vec![1; 4])
        } else {
            (vec![1; 2], vec![0, 2], vec![0, 0, 2, 2])
        };
        UNetConfig {
            in_channels: self.channels(),
            out_channels: 4,
            model_channels: WIDTH,
            channel_mult: if sd2 { vec![1; 4] } else { vec![1, 2] },
            res_blocks,
            depth,
            depth_output,
            middle: Middle::Transformer(1),
            context_dim: Some(self.context()),
            linear_projection: !self.is_sd1(),
            adm_channels: self.adm(),
            heads: if self.is_sd1() { Heads::Count(8) } else { Heads::Width(64) },
            variant: Variant::Plain,
        }
    }

    /// Tensors beside the networks that say what the UNet predicts.
    fn markers(self) -> &'static [(&'static str, &'static [usize])] {
        match self {
            Self::SdxlV => &[("v_pred", &[0]), ("ztsnr", &[0])],
            Self::Playground => &[("edm_mean", &[1, 4, 1, 1]), ("edm_std", &[1, 4, 1, 1])],
            _ => &[],
        }
    }
}

impl Encoder {
    fn tensors(self) -> Tensors {
        let config = TextConfig {
            vocabulary: VOCABULARY,
            positions: 77,
            width: WIDTH,
            layers: match self {
                Self::L => 2,
                Self::H => 24,
                Self::G => 32,
            },
            dropped: 0,
            heads: 1,
            mlp: 96,
            activation: if self == Self::L { Activation::QuickGelu } else { Activation::Gelu },
            projection: (self != Self::L).then_some(WIDTH),
            pad: 0,
        };
        values(&format!("{self:?}."), &config.tensors().unwrap())
    }
}

fn vae() -> VaeConfig {
    VaeConfig {
        channels: 32,
        mult: vec![1, 2],
        res_blocks: 1,
        image_channels: 3,
        z_channels: 4,
        embed_dim: 4,
        encoder: Some(8),
        quant: true,
        post_quant: true,
        encoder_attention: vec![false; 2],
        decoder_attention: vec![false; 2],
        middle_attention: true,
        frames: false,
        packed: false,
    }
}

fn values(prefix: &str, names: &TensorShapes) -> Tensors {
    let tensor = |(name, shape): (&str, &[usize])| {
        let mut values = vec![0.0; shape.iter().product()];
        hash_uniform(&format!("{prefix}{name}"), shape, &mut values);
        (name.to_owned(), (shape.to_vec(), values))
    };
    names.iter().map(tensor).collect()
}

fn under(prefix: &str, tensors: &Tensors) -> Tensors {
    tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect()
}

impl Parts {
    /// The whole checkpoint as its authors publish it.
    pub(crate) fn checkpoint(&self) -> Tensors {
        let mut all = under("model.diffusion_model.", &self.unet);
        for (at, (encoder, tensors)) in self.texts.iter().enumerate() {
            let xl = self.family.adm().is_some();
            all.extend(match (encoder, xl) {
                (Encoder::L, false) => under("cond_stage_model.transformer.", tensors),
                (Encoder::L, true) => under("conditioner.embedders.0.transformer.", tensors),
                (_, false) => under("cond_stage_model.model.", &open_clip(tensors)),
                (_, true) => under(&format!("conditioner.embedders.{at}.model."), &open_clip(tensors)),
            });
        }
        all.extend(under("first_stage_model.", &self.vae));
        let marker = |(name, shape): &(&str, &[usize])| {
            ((*name).to_owned(), (shape.to_vec(), vec![0.5; shape.iter().product()]))
        };
        all.extend(self.family.markers().iter().map(marker));
        all
    }

    /// The UNet alone in diffusers' names.
    pub(crate) fn diffusers_unet(&self) -> Tensors {
        let blocks = self.family.unet().res_blocks[0];
        self.unet.iter().map(|(name, tensor)| (unet_name(name, blocks), tensor.clone())).collect()
    }

    /// The autoencoder alone in diffusers' names, its attention as matrices.
    pub(crate) fn diffusers_vae(&self) -> Tensors {
        let flat = |name: &str, shape: &[usize]| {
            if name.contains(".attn_1") && shape.len() == 4 { shape[..2].to_vec() } else { shape.to_vec() }
        };
        let renamed = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
            (vae_name(name, vae().levels()), (flat(name, shape), values.clone()))
        };
        self.vae.iter().map(renamed).collect()
    }
}

/// Hugging Face's keys in OpenCLIP's: queries, keys and values fused, the projection turned.
fn open_clip(tensors: &Tensors) -> Tensors {
    let mut all = Tensors::new();
    for (name, (shape, values)) in tensors {
        let outside = [
            ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
            ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
            ("text_model.final_layer_norm.weight", "ln_final.weight"),
            ("text_model.final_layer_norm.bias", "ln_final.bias"),
        ];
        if let Some((_, renamed)) = outside.iter().find(|(from, _)| from == name) {
            all.insert((*renamed).to_owned(), (shape.clone(), values.clone()));
        } else if name == "text_projection.weight" {
            let (rows, columns) = (shape[0], shape[1]);
            let turned = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]).collect();
            all.insert("text_projection".to_owned(), (vec![columns, rows], turned));
        } else if let Some((start, end)) = name.split_once("self_attn.q_proj.") {
            let mut fused = values.clone();
            for part in ["k", "v"] {
                fused.extend(&tensors[&format!("{start}self_attn.{part}_proj.{end}")].1);
            }
            let shape = [vec![shape[0] * 3], shape[1..].to_vec()].concat();
            all.insert(layer_name(&format!("{start}attn.in_proj_{end}")), (shape, fused));
        } else if !name.contains("k_proj") && !name.contains("v_proj") {
            all.insert(layer_name(name), (shape.clone(), values.clone()));
        }
    }
    all
}

fn layer_name(name: &str) -> String {
    let table = [
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("layer_norm1.", "ln_1."),
        ("layer_norm2.", "ln_2."),
        ("self_attn.out_proj.", "attn.out_proj."),
        ("mlp.fc1.", "mlp.c_fc."),
        ("mlp.fc2.", "mlp.c_proj."),
    ];
    table.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn residual(rest: &str) -> String {
    let table = [
        ("in_layers.0.", "norm1."),
        ("in_layers.2.", "conv1."),
        ("emb_layers.1.", "time_emb_proj."),
        ("out_layers.0.", "norm2."),
        ("out_layers.3.", "conv2."),
        ("skip_connection.", "conv_shortcut."),
    ];
    table.iter().fold(rest.to_owned(), |rest, (from, to)| rest.replace(from, to))
}

/// diffusers' name of a UNet's tensor, for so many residual blocks per level.
fn unet_name(name: &str, blocks: usize) -> String {
    let outside = [
        ("input_blocks.0.0.", "conv_in."),
        ("out.0.", "conv_norm_out."),
        ("out.2.", "conv_out."),
        ("time_embed.0.", "time_embedding.linear_1."),
        ("time_embed.2.", "time_embedding.linear_2."),
        ("label_emb.0.0.", "add_embedding.linear_1."),
        ("label_emb.0.2.", "add_embedding.linear_2."),
    ];
    if let Some((from, to)) = outside.iter().find(|(from, _)| name.starts_with(from)) {
        return name.replacen(from, to, 1);
    }
    let parts: Vec<&str> = name.splitn(4, '.').collect();
    let number = |at: usize| parts[at].parse::<usize>().unwrap();
    let (level, i) = match parts[0] {
        "input_blocks" => ((number(1) - 1) / (blocks + 1), (number(1) - 1) % (blocks + 1)),
        _ => (number(1) / (blocks + 1), number(1) % (blocks + 1)),
    };
    match (parts[0], parts[3]) {
        ("middle_block", _) => {
            let rest = name.splitn(3, '.').nth(2).unwrap();
            match number(1) {
                1 => format!("mid_block.attentions.0.{rest}"),
                n => format!("mid_block.resnets.{}.{}", n / 2, residual(rest)),
            }
        }
        ("input_blocks", rest) if i == blocks => {
            format!("down_blocks.{level}.downsamplers.0.{}", rest.replace("op.", "conv."))
        }
        ("input_blocks", rest) if number(2) == 0 => format!("down_blocks.{level}.resnets.{i}.{}", residual(rest)),
        ("input_blocks", rest) => format!("down_blocks.{level}.attentions.{i}.{rest}"),
        (_, rest) if rest.starts_with("conv.") => format!("up_blocks.{level}.upsamplers.0.{rest}"),
        (_, rest) if number(2) == 0 => format!("up_blocks.{level}.resnets.{i}.{}", residual(rest)),
        (_, rest) => format!("up_blocks.{level}.attentions.{i}.{rest}"),
    }
}

fn vae_name(name: &str, levels: usize) -> String {
    let table = [
        ("nin_shortcut.", "conv_shortcut."),
        ("norm_out.", "conv_norm_out."),
        (".mid.block_1.", ".mid_block.resnets.0."),
        (".mid.block_2.", ".mid_block.resnets.1."),
        (".mid.attn_1.norm.", ".mid_block.attentions.0.group_norm."),
        (".mid.attn_1.q.", ".mid_block.attentions.0.to_q."),
        (".mid.attn_1.k.", ".mid_block.attentions.0.to_k."),
        (".mid.attn_1.v.", ".mid_block.attentions.0.to_v."),
        (".mid.attn_1.proj_out.", ".mid_block.attentions.0.to_out.0."),
        (".downsample.conv.", ".downsamplers.0.conv."),
        (".upsample.conv.", ".upsamplers.0.conv."),
        (".block.", ".resnets."),
    ];
    let name = table.iter().fold(name.to_owned(), |name, (from, to)| name.replace(from, to));
    (0..levels).fold(name, |name, level| {
        let name = name.replace(&format!("encoder.down.{level}."), &format!("encoder.down_blocks.{level}."));
        name.replace(&format!("decoder.up.{level}."), &format!("decoder.up_blocks.{}.", levels - 1 - level))
    })
}
