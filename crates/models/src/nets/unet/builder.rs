//! Lays out the blocks of a UNet. Knows their order and names, and what the upsampler's index depends on.

use super::{
    block::Unit,
    config::{Middle, UNetConfig},
    residual::Residual,
    transformer::{Kind, SpatialTransformer},
    variant::Variant,
};
use crate::{error::ModelError, nets::layers::Conv2d, weights::WeightBuilder};

/// Lays out the blocks, keeping count of channels as they flow.
pub(crate) struct Builder<'a, 's> {
    config: &'a UNetConfig,
    wb: &'a WeightBuilder<'s>,
    channels: usize,
    skips: Vec<usize>,
    /// How many transformers there are so far.
    transformers: usize,
}

impl<'a, 's> Builder<'a, 's> {
    pub(crate) fn new(config: &'a UNetConfig, wb: &'a WeightBuilder<'s>) -> Self {
        Self { config, wb, channels: config.model_channels, skips: Vec::new(), transformers: 0 }
    }

    /// Channels that flow out of what was laid out last.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Channels of each skip, in the order of the input blocks.
    pub(crate) fn skips(&self) -> &[usize] {
        &self.skips
    }

    pub(crate) fn input(&mut self) -> Result<Vec<Vec<Unit>>, ModelError> {
        let (config, wb) = (self.config, self.wb);
        let conv = Conv2d::new(wb, "input_blocks.0.0", config.in_channels, config.model_channels, 3)?;
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
                let conv = Conv2d::new(wb, &format!("{path}.op"), self.channels, self.channels, 3)?.with_stride(2);
                blocks.push(vec![Unit::Down { path, conv }]);
                self.skips.push(self.channels);
            }
        }
        Ok(blocks)
    }

    pub(crate) fn middle(&mut self) -> Result<Vec<Unit>, ModelError> {
        let channels = self.channels;
        let residual = |builder: &Self, n: usize| {
            builder.block(format!("middle_block.{n}"), channels, channels).map(Unit::Residual)
        };
        Ok(match self.config.middle {
            Middle::Nothing => Vec::new(),
            Middle::Residual => vec![residual(self, 0)?],
            Middle::Transformer(depth) => {
                vec![residual(self, 0)?, self.transformer("middle_block.1".into(), depth, false)?, residual(self, 2)?]
            }
        })
    }

    pub(crate) fn output(&mut self) -> Result<Vec<Vec<Unit>>, ModelError> {
        let config = self.config;
        let (mut blocks, mut depths) = (Vec::new(), config.depth_output.iter().rev().copied());
        for (level, count) in config.res_blocks.iter().enumerate().rev() {
            for i in 0..=*count {
                let name = format!("output_blocks.{}", blocks.len());
                let inputs = self.channels + self.skips.pop().unwrap_or(0);
                let mut block = self.residual(&name, inputs, level, depths.next().unwrap_or(0))?;
                if level > 0 && i == *count {
                    let path = format!("{name}.{}", block.len());
                    let conv = Conv2d::new(self.wb, &format!("{path}.conv"), self.channels, self.channels, 3)?;
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
        let mut units = vec![Unit::Residual(self.block(format!("{name}.0"), inputs, self.channels)?)];
        if depth > 0 {
            let context_only = match &self.config.variant {
                Variant::Upscaler { context_only, .. } => context_only.get(level).copied().unwrap_or(false),
                _ => false,
            };
            units.push(self.transformer(format!("{name}.1"), depth, context_only)?);
        }
        Ok(units)
    }

    fn block(&self, path: String, inputs: usize, outputs: usize) -> Result<Residual, ModelError> {
        let embed = self.config.embed_dim();
        let block = Residual::new(self.wb, path, inputs, outputs, embed)?;
        match self.config.variant {
            Variant::Video { .. } => block.over_frames(self.wb, outputs, embed),
            _ => Ok(block),
        }
    }

    fn transformer(&mut self, path: String, depth: usize, context_only: bool) -> Result<Unit, ModelError> {
        let config = self.config;
        let heads = config.heads.of(self.channels);
        if heads == 0 || !self.channels.is_multiple_of(heads) {
            let detail = format!("{} channels don't split into {:?}", self.channels, config.heads);
            return Err(ModelError::Unrecognised { what: "a UNet".into(), detail });
        }
        let time = match config.variant {
            Variant::Video { context } => Some(context),
            _ => None,
        };
        let number = self.transformers;
        self.transformers += 1;
        let context = config.context_dim.unwrap_or(0);
        let kind = Kind { number, context, linear: config.linear_projection, context_only, time };
        SpatialTransformer::new(self.wb, path, self.channels, heads, depth, kind).map(Unit::Transformer)
    }
}
