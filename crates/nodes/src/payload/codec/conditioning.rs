//! `CONDITIONING` as bytes: a list of conditions. One that holds a ControlNet or hooks cannot be written.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use kiln_exec::{CodecError, Decoder, Encoder, Host, Object, PayloadCodec};
use kiln_models::ReferenceMethod;
use kiln_models::conditioning::{
    Area, Camera, Concat, Condition, Conditioning as Conditions, DistilledGuidance, ImagePrompt, LowRes, Mask, Sizes,
    Video,
};

use super::own::own;
use super::tensor;
use crate::payload::Conditioning;

const NAME: &str = "CONDITIONING";

/// Writes and reads `CONDITIONING`.
#[derive(Clone, Copy, Debug)]
pub struct ConditioningCodec;

#[allow(clippy::unnecessary_literal_bound, reason = "the trait's signature")]
impl PayloadCodec for ConditioningCodec {
    fn socket_type(&self) -> &str {
        NAME
    }

    fn encode(&self, object: &dyn Object, to: &mut Encoder<'_>) -> Result<(), CodecError> {
        let Conditions { entries } = &*own::<Conditioning>(object)?.0;
        to.count(entries.len())?;
        entries.iter().try_for_each(|entry| write(entry, to))
    }

    fn decode(&self, from: &mut Decoder<'_>, host: &Host) -> Result<Arc<dyn Object>, CodecError> {
        let device = tensor::device(host);
        let entries = (0..from.count()?).map(|_| read(from, &device)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Conditioning::new(Conditions { entries })))
    }
}

fn write(entry: &Condition, to: &mut Encoder<'_>) -> Result<(), CodecError> {
    // Without `..`: a new field does not compile until it is written.
    let Condition {
        context,
        pooled,
        area,
        strength,
        mask,
        range,
        sizes,
        control,
        control_context,
        concat,
        grounding,
        hooks,
        default,
        encoded_for,
        images,
        video,
        low_res,
        attention_mask,
        guidance,
        references,
        reference_method,
    } = entry;
    for (there, network) in [(control.is_some(), "ControlNet"), (grounding.is_some(), "GLIGEN")] {
        if there {
            let why = format!("it holds a {network}, which lies in a file of its own");
            return Err(CodecError::unencodable(NAME, why));
        }
    }
    if hooks.is_some() {
        return Err(CodecError::unencodable(NAME, "it holds hooks, whose weights lie in files of their own"));
    }
    tensor::write(NAME, context, to)?;
    to.option(pooled.as_ref(), tensor)?;
    to.option(area.as_ref(), write_area)?;
    to.f64(*strength)?;
    to.option(mask.as_ref(), write_mask)?;
    to.option(range.as_ref(), write_range)?;
    to.bool(*default)?;
    to.option(encoded_for.as_ref(), write_range)?;
    write_sizes(sizes, to)?;
    to.option(control_context.as_ref(), tensor)?;
    to.option(concat.as_ref(), |to, Concat { latent, mask }| {
        tensor::write(NAME, latent, to)?;
        to.option(mask.as_ref(), tensor)
    })?;
    to.count(images.len())?;
    for ImagePrompt { embeds, strength, noise } in images {
        tensor(to, embeds)?;
        to.f64(*strength)?;
        to.f64(*noise)?;
    }
    write_video(video, to)?;
    to.option(low_res.as_ref(), |to, LowRes { image, noise }| {
        tensor(to, image)?;
        Ok::<_, CodecError>(to.f64(*noise)?)
    })?;
    to.option(attention_mask.as_ref(), tensor)?;
    write_guidance(*guidance, to)?;
    to.count(references.len())?;
    references.iter().try_for_each(|latent| tensor(to, latent))?;
    to.option(*reference_method, |to, method| Ok(to.u8(method as u8)?))
}

fn write_guidance(guidance: DistilledGuidance, to: &mut Encoder<'_>) -> Result<(), CodecError> {
    match guidance {
        DistilledGuidance::Usual => Ok(to.u8(0)?),
        DistilledGuidance::Off => Ok(to.u8(1)?),
        DistilledGuidance::At(guidance) => {
            to.u8(2)?;
            Ok(to.f32(guidance)?)
        }
    }
}

fn read_guidance(from: &mut Decoder<'_>) -> Result<DistilledGuidance, CodecError> {
    match from.u8()? {
        0 => Ok(DistilledGuidance::Usual),
        1 => Ok(DistilledGuidance::Off),
        2 => Ok(DistilledGuidance::At(from.f32()?)),
        other => Err(CodecError::damaged(format!("there is no kind of guidance {other}"))),
    }
}

fn read_method(from: &mut Decoder<'_>) -> Result<ReferenceMethod, CodecError> {
    let found = from.u8()?;
    let methods = [ReferenceMethod::Offset, ReferenceMethod::Index, ReferenceMethod::Uxo];
    let method = methods.into_iter().find(|method| *method as u8 == found);
    method.ok_or_else(|| CodecError::damaged(format!("there is no way {found} to place references")))
}

fn write_video(video: &Video, to: &mut Encoder<'_>) -> Result<(), CodecError> {
    let Video { fps, motion, noise, cameras } = video;
    [fps, motion, noise].into_iter().try_for_each(|number| to.option(*number, Encoder::f32))?;
    to.count(cameras.len())?;
    for Camera { elevation, azimuth } in cameras.iter() {
        to.f32(*elevation)?;
        to.f32(*azimuth)?;
    }
    Ok(())
}

fn read_video(from: &mut Decoder<'_>) -> Result<Video, CodecError> {
    let mut next = || from.option(Decoder::f32);
    let (fps, motion, noise) = (next()?, next()?, next()?);
    let camera = |from: &mut Decoder<'_>| Ok(Camera { elevation: from.f32()?, azimuth: from.f32()? });
    let cameras = (0..from.count()?).map(|_| camera(from)).collect::<Result<Vec<_>, CodecError>>()?;
    Ok(Video { fps, motion, noise, cameras: cameras.into() })
}

fn read_images(from: &mut Decoder<'_>, device: &Device) -> Result<Vec<ImagePrompt>, CodecError> {
    let read = |from: &mut Decoder<'_>| {
        Ok(ImagePrompt { embeds: tensor::read(from, device)?, strength: from.f64()?, noise: from.f64()? })
    };
    (0..from.count()?).map(|_| read(from)).collect()
}

fn read(from: &mut Decoder<'_>, device: &Device) -> Result<Condition, CodecError> {
    Ok(Condition {
        context: tensor::read(from, device)?,
        pooled: from.option(|from| tensor::read(from, device))?,
        area: from.option(read_area)?,
        strength: from.f64()?,
        mask: from.option(|from| read_mask(from, device))?,
        range: from.option(read_range)?,
        default: from.bool()?,
        encoded_for: from.option(read_range)?,
        sizes: read_sizes(from)?,
        control: None,
        hooks: None,
        control_context: from.option(|from| tensor::read(from, device))?,
        concat: from.option(|from| {
            let latent = tensor::read(from, device)?;
            Ok(Concat { latent, mask: from.option(|from| tensor::read(from, device))? })
        })?,
        grounding: None,
        images: read_images(from, device)?,
        video: read_video(from)?,
        low_res: from.option(|from| Ok(LowRes { image: tensor::read(from, device)?, noise: from.f64()? }))?,
        attention_mask: from.option(|from| tensor::read(from, device))?,
        guidance: read_guidance(from)?,
        references: (0..from.count()?).map(|_| tensor::read(from, device)).collect::<Result<_, _>>()?,
        reference_method: from.option(read_method)?,
    })
}

fn tensor<const D: usize>(to: &mut Encoder<'_>, tensor: &Tensor<D>) -> Result<(), CodecError> {
    tensor::write(NAME, tensor, to)
}

fn write_range(to: &mut Encoder<'_>, (start, end): &(f64, f64)) -> Result<(), CodecError> {
    to.f64(*start)?;
    Ok(to.f64(*end)?)
}

fn read_range(from: &mut Decoder<'_>) -> Result<(f64, f64), CodecError> {
    Ok((from.f64()?, from.f64()?))
}

fn write_area(to: &mut Encoder<'_>, area: &Area) -> Result<(), CodecError> {
    match area {
        Area::Cells { height, width, y, x } => {
            to.u8(0)?;
            [height, width, y, x].into_iter().try_for_each(|cells| to.count(*cells))?;
        }
        Area::Fraction { height, width, y, x } => {
            to.u8(1)?;
            [height, width, y, x].into_iter().try_for_each(|part| to.f64(*part))?;
        }
    }
    Ok(())
}

fn read_area(from: &mut Decoder<'_>) -> Result<Area, CodecError> {
    match from.u8()? {
        0 => Ok(Area::Cells { height: from.count()?, width: from.count()?, y: from.count()?, x: from.count()? }),
        1 => Ok(Area::Fraction { height: from.f64()?, width: from.f64()?, y: from.f64()?, x: from.f64()? }),
        other => Err(CodecError::damaged(format!("there is no kind of area {other}"))),
    }
}

fn write_mask(to: &mut Encoder<'_>, mask: &Mask) -> Result<(), CodecError> {
    let Mask { weights, strength, bounds } = mask;
    tensor(to, weights)?;
    to.f64(*strength)?;
    Ok(to.bool(*bounds)?)
}

fn read_mask(from: &mut Decoder<'_>, device: &Device) -> Result<Mask, CodecError> {
    Ok(Mask { weights: tensor::read(from, device)?, strength: from.f64()?, bounds: from.bool()? })
}

fn write_sizes(sizes: &Sizes, to: &mut Encoder<'_>) -> Result<(), CodecError> {
    let Sizes { width, height, crop_w, crop_h, target_width, target_height, aesthetic_score } = *sizes;
    let all = [width, height, crop_w, crop_h, target_width, target_height, aesthetic_score];
    Ok(all.into_iter().try_for_each(|size| to.option(size, Encoder::f32))?)
}

fn read_sizes(from: &mut Decoder<'_>) -> Result<Sizes, CodecError> {
    let mut next = || from.option(Decoder::f32);
    Ok(Sizes {
        width: next()?,
        height: next()?,
        crop_w: next()?,
        crop_h: next()?,
        target_width: next()?,
        target_height: next()?,
        aesthetic_score: next()?,
    })
}
