//! The UNet: way down, middle, way up.
//!
//! Knows names and order of its blocks. Knows nothing of noise levels: time steps come in, the raw output goes out.

use burn::tensor::Tensor;

use super::{
    config::{Middle, UNetConfig},
    embed::sinusoidal,
    residual::Residual,
    transformer::{Kind, SpatialTransformer},
};
use crate::{
    Keyed, ModelError, Names,
    layers::{Conv2d, GroupNorm, Linear},
    ops,
    shelf::Shelf,
    watch::Watch,
};

/// A Stable Diffusion UNet over weight handles.
///
/// Source: CompVis latent-diffusion, `openaimodel.py`, `UNetModel`.
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    time: [Linear; 2],
    label: Option<[Linear; 2]>,
    input: Vec<Vec<Unit>>,
    middle: Vec<Unit>,
    output: Vec<Vec<Unit>>,
    norm: GroupNorm,
    conv: Conv2d,
}

#[derive(Debug)]
enum Unit {
    Conv { path: String, conv: Conv2d },
    Residual(Residual),
    Transformer(SpatialTransformer),
    Down { path: String, conv: Conv2d },
    Up { path: String, conv: Conv2d },
}

/// What a call gives the UNet beside the latent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Extras<'a> {
    /// The vector beside the time step, `[batch, adm]`; exactly the models with `adm_channels` take it.
    pub y: Option<&'a Tensor<2>>,
    /// What ControlNets add.
    pub control: Option<&'a Residuals>,
    /// Sees named activations.
    pub watch: Watch<'a>,
}

/// What a ControlNet or T2I-Adapter adds to the activations.
#[derive(Debug, Clone, Default)]
pub struct Residuals {
    /// Added to the result of each input block, in order; shorter lists leave the rest alone.
    pub input: Vec<Option<Tensor<4>>>,
    /// Added after the middle block.
    pub middle: Option<Tensor<4>>,
    /// Added to the skips, in order of the input blocks: the last one meets the first output block.
    pub output: Vec<Option<Tensor<4>>>,
}

impl UNetConfig {
    /// Builds the network over its weights.
    ///
    /// # Errors
    /// `ModelError::Weights` listing every missing tensor and every wrong shape.
    pub fn init(&self, keyed: &Keyed) -> Result<UNet, ModelError> {
        Shelf::build("UNet", keyed, |shelf| UNet::new(self, shelf))
    }

    /// Name and shape of every tensor of this network, in original names without prefix.
    ///
    /// # Errors
    /// When the sizes contradict each other (an empty level list, heads that don't divide the width).
    pub fn tensors(&self) -> Result<Names, ModelError> {
        Shelf::survey(|shelf| UNet::new(self, shelf))
    }
}

impl UNet {
    fn new(config: &UNetConfig, shelf: &Shelf<'_>) -> Result<Self, ModelError> {
        let (base, embed) = (config.model_channels, config.embed_dim());
        let pair = |name: &str, inputs| {
            Ok::<_, ModelError>([
                Linear::new(shelf, &format!("{name}.0"), inputs, embed)?,
                Linear::new(shelf, &format!("{name}.2"), embed, embed)?,
            ])
        };
        let mut builder = Builder { config, shelf, channels: base, skips: Vec::new() };
        Ok(Self {
            time: pair("time_embed", base)?,
            label: config.adm_channels.map(|adm| pair("label_emb.0", adm)).transpose()?,
            input: builder.input()?,
            middle: builder.middle()?,
            output: builder.output()?,
            norm: GroupNorm::new(shelf, "out.0", 32, base, 1e-5)?,
            conv: Conv2d::new(shelf, "out.2", base, config.out_channels, 3)?,
            config: config.clone(),
        })
    }

    /// The sizes of this network.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// The network's output for a latent that is already scaled to its input range.
    ///
    /// # Shapes
    /// `x` `[batch, in_channels, h, w]` of any size, one time step per batch item (fractions allowed), `context`
    /// `[batch, tokens, context_dim]`; returns `[batch, out_channels, h, w]`.
    /// # Errors
    /// `ModelError::Input` when a shape doesn't fit, or when weights can't be had.
    pub fn forward(
        &self,
        x: Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<Tensor<4>, ModelError> {
        self.check(&x, timesteps, context, extras)?;
        let pass = Pass { embed: ops::silu(self.embed(&x, timesteps, extras)?)?, context, watch: extras.watch };
        let (h, skips) = self.down(x, &pass, extras.control)?;
        let mut h = pass.through(&self.middle, h, None)?;
        if let Some(residual) = extras.control.and_then(|control| control.middle.as_ref()) {
            h = add("control.middle", h, residual)?;
        }
        let h = self.up(h, skips, &pass, extras.control)?;
        self.finish(h, extras.watch)
    }

    fn embed(&self, x: &Tensor<4>, timesteps: &[f32], extras: &Extras<'_>) -> Result<Tensor<2>, ModelError> {
        let (watch, dtype) = (extras.watch, x.dtype());
        let steps = sinusoidal(timesteps, self.config.model_channels, &x.device()).cast(dtype);
        let mut embed = mlp(&self.time, steps, "time_embed", watch)?;
        watch.see("time_embed", &embed);
        if let (Some(label), Some(y)) = (&self.label, extras.y) {
            let label = mlp(label, y.clone().cast(dtype), "label_emb.0", watch)?;
            watch.see("label_emb.0", &label);
            watch.see("label_emb", &label);
            embed = embed + label;
        }
        Ok(embed)
    }

    fn down(
        &self,
        x: Tensor<4>,
        pass: &Pass<'_>,
        control: Option<&Residuals>,
    ) -> Result<(Tensor<4>, Vec<Tensor<4>>), ModelError> {
        let (mut h, mut skips) = (x, Vec::with_capacity(self.input.len()));
        for (n, block) in self.input.iter().enumerate() {
            h = pass.through(block, h, None)?;
            if let Some(Some(residual)) = control.and_then(|control| control.input.get(n)) {
                h = add("control.input", h, residual)?;
            }
            skips.push(h.clone());
        }
        Ok((h, skips))
    }

    fn up(
        &self,
        mut h: Tensor<4>,
        mut skips: Vec<Tensor<4>>,
        pass: &Pass<'_>,
        control: Option<&Residuals>,
    ) -> Result<Tensor<4>, ModelError> {
        let mut residuals: &[Option<Tensor<4>>] = control.map_or(&[], |control| &control.output);
        for block in &self.output {
            let Some(mut skip) = skips.pop() else { break };
            if let [rest @ .., last] = residuals {
                residuals = rest;
                if let Some(residual) = last {
                    skip = add("control.output", skip, residual)?;
                }
            }
            let size = skips.last().map(|next| [next.dims()[2], next.dims()[3]]);
            h = pass.through(block, Tensor::cat(vec![h, skip], 1), size)?;
        }
        Ok(h)
    }

    fn finish(&self, h: Tensor<4>, watch: Watch<'_>) -> Result<Tensor<4>, ModelError> {
        let h = if watch.is_on() {
            let h = self.norm.forward(h)?;
            watch.see("out.0", &h);
            ops::silu(h)?
        } else {
            self.norm.forward_silu(h)?
        };
        watch.see("out.1", &h);
        let h = self.conv.forward(h)?;
        watch.see("out.2", &h);
        watch.see("out", &h);
        Ok(h)
    }

    fn check(
        &self,
        x: &Tensor<4>,
        timesteps: &[f32],
        context: &Tensor<3>,
        extras: &Extras<'_>,
    ) -> Result<(), ModelError> {
        let [batch, channels, height, width] = x.dims();
        if channels != self.config.in_channels || batch == 0 || height == 0 || width == 0 {
            return Err(input("latent", format!("[batch, {}, h, w]", self.config.in_channels), &x.dims()));
        }
        if timesteps.len() != batch {
            return Err(input("timesteps", format!("[{batch}], one per latent"), &[timesteps.len()]));
        }
        let wanted = self.config.context_dim.unwrap_or(context.dims()[2]);
        let [rows, tokens, context_dim] = context.dims();
        if rows != batch || tokens == 0 || context_dim != wanted {
            return Err(input("context", format!("[{batch}, tokens, {wanted}]"), &context.dims()));
        }
        match (self.config.adm_channels, extras.y) {
            (Some(adm), Some(y)) if y.dims() != [batch, adm] => Err(input("y", format!("[{batch}, {adm}]"), &y.dims())),
            (Some(adm), None) => Err(input("y", format!("[{batch}, {adm}], which this model needs"), &[])),
            (None, Some(y)) => Err(input("y", "nothing: this model takes none".into(), &y.dims())),
            _ => Ok(()),
        }
    }
}

fn input(what: &'static str, expected: String, found: &[usize]) -> ModelError {
    ModelError::Input { network: "UNet", what, expected, found: found.to_vec() }
}

fn add(what: &'static str, h: Tensor<4>, residual: &Tensor<4>) -> Result<Tensor<4>, ModelError> {
    let ([batch, channels, height, width], found) = (h.dims(), residual.dims());
    if found != h.dims() && found != [1, channels, height, width] {
        return Err(input(what, format!("[{batch}, {channels}, {height}, {width}]"), &found));
    }
    Ok(h + residual.clone())
}

fn mlp(layers: &[Linear; 2], x: Tensor<2>, path: &str, watch: Watch<'_>) -> Result<Tensor<2>, ModelError> {
    let h = layers[0].forward2(x)?;
    watch.see_in(path, "0", &h);
    let h = ops::silu(h)?;
    watch.see_in(path, "1", &h);
    let h = layers[1].forward2(h)?;
    watch.see_in(path, "2", &h);
    Ok(h)
}

/// What is the same for every block of one forward pass.
struct Pass<'a> {
    /// The time embedding after its SiLU, which every residual block starts with.
    embed: Tensor<2>,
    context: &'a Tensor<3>,
    watch: Watch<'a>,
}

impl Pass<'_> {
    /// Runs the units of a block. `next` is the size of the skip that comes after it: an upsampler's target.
    fn through(&self, block: &[Unit], x: Tensor<4>, next: Option<[usize; 2]>) -> Result<Tensor<4>, ModelError> {
        block.iter().try_fold(x, |h, unit| self.unit(unit, h, next))
    }

    fn unit(&self, unit: &Unit, h: Tensor<4>, next: Option<[usize; 2]>) -> Result<Tensor<4>, ModelError> {
        match unit {
            Unit::Residual(block) => block.forward(h, &self.embed, self.watch),
            Unit::Transformer(transformer) => transformer.forward(h, self.context, self.watch),
            Unit::Conv { path, conv } | Unit::Down { path, conv } => {
                let h = conv.forward(h)?;
                self.watch.see(path, &h);
                Ok(h)
            }
            Unit::Up { path, conv } => {
                let [_, _, height, width] = h.dims();
                let [height, width] = next.unwrap_or([height * 2, width * 2]);
                let h = conv.forward(ops::upsample_nearest(h, height, width)?)?;
                self.watch.see(path, &h);
                Ok(h)
            }
        }
    }
}

/// Lays out the blocks, keeping count of channels as they flow.
struct Builder<'a, 's> {
    config: &'a UNetConfig,
    shelf: &'a Shelf<'s>,
    channels: usize,
    skips: Vec<usize>,
}

impl Builder<'_, '_> {
    fn input(&mut self) -> Result<Vec<Vec<Unit>>, ModelError> {
        let (config, shelf) = (self.config, self.shelf);
        let conv = Conv2d::new(shelf, "input_blocks.0.0", config.in_channels, config.model_channels, 3)?;
        let mut blocks = vec![vec![Unit::Conv { path: "input_blocks.0.0".into(), conv }]];
        self.skips.push(self.channels);
        let mut depths = config.depth.iter().copied();
        for (level, count) in config.res_blocks.iter().enumerate() {
            for _ in 0..*count {
                let name = format!("input_blocks.{}", blocks.len());
                blocks.push(self.residual(&name, self.channels, level, depths.next().unwrap_or(0))?);
                self.skips.push(self.channels);
            }
            if level + 1 < config.res_blocks.len() {
                let path = format!("input_blocks.{}.0", blocks.len());
                let conv = Conv2d::new(shelf, &format!("{path}.op"), self.channels, self.channels, 3)?.with_stride(2);
                blocks.push(vec![Unit::Down { path, conv }]);
                self.skips.push(self.channels);
            }
        }
        Ok(blocks)
    }

    fn middle(&mut self) -> Result<Vec<Unit>, ModelError> {
        let residual = |n: usize| {
            let path = format!("middle_block.{n}");
            Residual::new(self.shelf, path, self.channels, self.channels, self.config.embed_dim()).map(Unit::Residual)
        };
        Ok(match self.config.middle {
            Middle::Nothing => Vec::new(),
            Middle::Residual => vec![residual(0)?],
            Middle::Transformer(depth) => {
                vec![residual(0)?, self.transformer("middle_block.1".into(), depth)?, residual(2)?]
            }
        })
    }

    fn output(&mut self) -> Result<Vec<Vec<Unit>>, ModelError> {
        let config = self.config;
        let (mut blocks, mut depths) = (Vec::new(), config.depth_output.iter().rev().copied());
        for (level, count) in config.res_blocks.iter().enumerate().rev() {
            for i in 0..=*count {
                let name = format!("output_blocks.{}", blocks.len());
                let inputs = self.channels + self.skips.pop().unwrap_or(0);
                let mut block = self.residual(&name, inputs, level, depths.next().unwrap_or(0))?;
                if level > 0 && i == *count {
                    let path = format!("{name}.{}", block.len());
                    let conv = Conv2d::new(self.shelf, &format!("{path}.conv"), self.channels, self.channels, 3)?;
                    block.push(Unit::Up { path, conv });
                }
                blocks.push(block);
            }
        }
        Ok(blocks)
    }

    /// A residual block, and its transformer if it has one. Leaves `channels` at the level's width.
    fn residual(&mut self, name: &str, inputs: usize, level: usize, depth: usize) -> Result<Vec<Unit>, ModelError> {
        self.channels = self.config.channels(level);
        let embed = self.config.embed_dim();
        let block = Residual::new(self.shelf, format!("{name}.0"), inputs, self.channels, embed)?;
        let mut units = vec![Unit::Residual(block)];
        if depth > 0 {
            units.push(self.transformer(format!("{name}.1"), depth)?);
        }
        Ok(units)
    }

    fn transformer(&self, path: String, depth: usize) -> Result<Unit, ModelError> {
        let config = self.config;
        let heads = config.heads.of(self.channels);
        if heads == 0 || self.channels % heads != 0 {
            let detail = format!("{} channels don't split into {:?}", self.channels, config.heads);
            return Err(ModelError::Unrecognised { what: "a UNet".into(), detail });
        }
        let kind = Kind { context: config.context_dim.unwrap_or(0), linear: config.linear_projection };
        SpatialTransformer::new(self.shelf, path, self.channels, heads, depth, kind).map(Unit::Transformer)
    }
}
