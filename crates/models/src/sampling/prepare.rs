//! Conditions made ready for a run: areas in cells, masks at the latent's size, ranges as noise levels, and what the
//! network takes beside the prompt.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::inpaint::{repeat_batch, resized};
use super::predictor::Predictor;
use crate::conditioning::{Area, Condition, Conditioning, DistilledGuidance, Mask};
use crate::image::{Crop, ImageError, Method, Planes, common_upscale};
use crate::latent::LatentFormat;
use crate::nets::{ConditionInputs, ControlSource, References, SideInputs, gligen::Grounding};
use crate::sampler::SamplingError;
use crate::schedule::ModelSampling;
use crate::weight_hooks::HookGroup;

/// Which conditioning a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Positive,
    Middle,
    Negative,
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Middle => "middle",
            Self::Negative => "negative",
        }
    }
}

/// A part of the latent in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) y: usize,
    pub(super) x: usize,
}

impl Rect {
    fn contains(&self, inner: &Self) -> bool {
        inner.y >= self.y
            && inner.x >= self.x
            && inner.y + inner.height <= self.y + self.height
            && inner.x + inner.width <= self.x + self.width
    }

    fn cells(&self) -> usize {
        self.height * self.width
    }
}

/// What the network is given for a condition.
#[derive(Debug, Clone)]
pub(super) struct NetworkInputs {
    pub(super) context: Tensor<3>,
    /// What control networks read in its place.
    pub(super) control_context: Option<Tensor<3>>,
    pub(super) vector: Option<Tensor<2>>,
    pub(super) concat: Option<Tensor<4>>,
    /// Of the run's batch.
    pub(super) given: ConditionInputs,
    pub(super) negative: bool,
}

/// A condition ready to be evaluated.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) inputs: NetworkInputs,
    pub(super) area: Option<Rect>,
    pub(super) strength: f64,
    /// Weights at the latent's size, `[B, h, w]`, and their factor.
    pub(super) mask: Option<(Tensor<3>, f64)>,
    /// Noise levels between which it holds, the larger one first.
    pub(super) range: Option<(f32, f32)>,
    pub(super) control: Option<Arc<dyn ControlSource>>,
    control_to_negative: bool,
    pub(super) grounding: Option<Grounding>,
    pub(super) hooks: Option<Arc<HookGroup>>,
    /// Whether it holds where no other condition of its list does.
    pub(super) default: bool,
}

impl Prepared {
    /// Whether something of it lies at places of the latent.
    pub(super) fn has_places(&self) -> bool {
        self.area.is_some() || self.mask.is_some() || self.inputs.concat.is_some()
    }

    pub(super) fn holds_at(&self, sigma: f32) -> bool {
        self.range.is_none_or(|(start, end)| sigma <= start && sigma >= end)
    }
}

/// What preparing needs to know of the run.
pub(super) struct PrepareContext<'a> {
    pub(super) model: &'a dyn Predictor,
    pub(super) sampling: &'a ModelSampling,
    pub(super) format: &'a LatentFormat,
    /// The run's latent in model space.
    pub(super) latent: &'a Tensor<4>,
    /// The run's denoise mask at the latent's size.
    pub(super) mask: Option<&'a Tensor<4>>,
    /// The run's seed.
    pub(super) seed: u64,
}

/// Prepares all lists of a run together: an area in one list makes an entry in the others.
pub(super) fn prepare(
    cx: &PrepareContext<'_>,
    lists: &[(Role, &Conditioning)],
) -> Result<Vec<Vec<Prepared>>, SamplingError> {
    let mut prepared: Vec<Vec<Prepared>> = Vec::with_capacity(lists.len());
    for (role, list) in lists {
        prepared.push(list.entries.iter().map(|entry| cx.entry(entry, *role)).collect::<Result<_, _>>()?);
    }
    // The reference goes through the lists from the positive on.
    let mut order: Vec<usize> = (0..lists.len()).collect();
    order.sort_by_key(|&i| match lists[i].0 {
        Role::Positive => 0,
        Role::Middle => 1,
        Role::Negative => 2,
    });
    for &from in &order {
        let mut at = 0;
        while at < prepared[from].len() {
            let entry = prepared[from][at].clone();
            for &to in order.iter().filter(|&&to| to != from) {
                mirror_area(&entry, &mut prepared[to]);
            }
            at += 1;
        }
    }
    if let Some(positive) = order.first().copied().filter(|&i| lists[i].0 == Role::Positive) {
        let source = prepared[positive].clone();
        for &other in order.iter().filter(|&&i| i != positive) {
            share_controls(&source, &mut prepared[other]);
            share(&source, &mut prepared[other], |entry| entry.grounding.clone(), |entry| &mut entry.grounding);
        }
    }
    Ok(prepared)
}

/// Gives a list a copy of an entry's area, with the inputs of its own smallest entry around it.
fn mirror_area(entry: &Prepared, list: &mut Vec<Prepared>) {
    let Some(area) = entry.area else { return };
    let mut smallest: Option<&Prepared> = None;
    for candidate in list.iter() {
        let better = match (candidate.area, smallest.map(|s| s.area)) {
            (Some(own), _) if !own.contains(&area) => false,
            (_, None) | (Some(_), Some(None)) => true,
            (Some(own), Some(Some(best))) => best.cells() > own.cells(),
            (None, Some(_)) => false,
        };
        if better {
            smallest = Some(candidate);
        }
    }
    let Some(found) = smallest.filter(|found| found.area != Some(area)) else { return };
    let copy = Prepared { inputs: found.inputs.clone(), ..entry.clone() };
    list.push(copy);
}

/// Hands controls to the negative that are meant for it, too.
fn share_controls(positive: &[Prepared], list: &mut [Prepared]) {
    let meant = |entry: &Prepared| entry.control.clone().filter(|_| entry.control_to_negative);
    share(positive, list, meant, |entry| &mut entry.control);
}

/// What the positive entries without an area have is handed to the negative ones without an area, one after the other
/// and round and round, if none of those has one of its own: the last one handed to an entry stays, and with fewer of them
/// than entries some get none.
fn share<T: Clone>(
    positive: &[Prepared],
    list: &mut [Prepared],
    has: impl Fn(&Prepared) -> Option<T>,
    place: impl Fn(&mut Prepared) -> &mut Option<T>,
) {
    let shared: Vec<T> = positive.iter().filter(|p| p.area.is_none()).filter_map(has).collect();
    let mut free: Vec<&mut Prepared> = list.iter_mut().filter(|p| p.area.is_none()).collect();
    if free.is_empty() || free.iter_mut().any(|entry| place(entry).is_some()) {
        return;
    }
    let entries = free.len();
    for (i, shared) in shared.into_iter().enumerate() {
        *place(free[i % entries]) = Some(shared);
    }
}

impl PrepareContext<'_> {
    fn entry(&self, entry: &Condition, role: Role) -> Result<Prepared, SamplingError> {
        let [batch, _, height, width] = self.latent.dims();
        let negative = role == Role::Negative;
        check_finite(&entry.context, role)?;
        let mut area = entry.area.map(|area| in_cells(area, height, width)).transpose()?;
        let mut mask = None;
        if let Some(Mask { weights, strength, bounds }) = &entry.mask {
            let [b, h, w] = weights.dims();
            if b * h * w == 0 {
                let (expected, found) = ("[B, H, W] without empty sides".to_owned(), vec![b, h, w]);
                return Err(SamplingError::Shape { what: "mask", expected, found });
            }
            let fitted = resized(&weights.clone().reshape([b, 1, h, w]), width, height)?.reshape([b, height, width]);
            if *bounds {
                area = Some(bounding_box(&fitted)?);
            }
            mask = Some((fitted, *strength));
        }
        let level = |percent| self.sampling.levels.percent_to_sigma(percent) as f32;
        let vector = self
            .model
            .vector_width()
            .map(|adm| self.vector(entry, adm, negative).map(|v| repeat_batch(v, batch)))
            .transpose()?;
        let inputs = NetworkInputs {
            context: self.model.context(entry.context.clone())?,
            control_context: entry.control_context.clone(),
            vector,
            concat: self.concat(entry)?,
            given: self.given(entry, batch)?,
            negative,
        };
        Ok(Prepared {
            inputs,
            area,
            strength: entry.strength,
            mask,
            range: entry.holds_for().map(|(start, end)| (level(start), level(end))),
            control: entry.control.as_ref().map(|link| link.source.clone()),
            control_to_negative: entry.control.as_ref().is_some_and(|link| link.to_negative),
            grounding: entry.grounding.clone(),
            hooks: entry.hooks.clone().filter(|hooks| !hooks.is_empty()),
            default: entry.default,
        })
    }

    /// What a condition gives beside its prompt, for a batch.
    fn given(&self, entry: &Condition, batch: usize) -> Result<ConditionInputs, SamplingError> {
        let guidance = match entry.guidance {
            DistilledGuidance::Usual => self.model.default_guidance(),
            DistilledGuidance::Off => None,
            DistilledGuidance::At(guidance) => self.model.default_guidance().map(|_| guidance),
        };
        let references = entry.references.iter().map(|latent| {
            let found = latent.dims();
            let channels = self.model.channels();
            if found[1] != channels || found.contains(&0) {
                let expected = format!("[B, {channels}, h, w], as the autoencoder of this model gives it");
                return Err(SamplingError::Shape { what: "reference latent", expected, found: found.to_vec() });
            }
            Ok(repeat_batch(self.format.process_in(latent.clone()), batch))
        });
        Ok(ConditionInputs {
            mask: entry.attention_mask.clone().map(|mask| repeat_batch(mask, batch)),
            guidance: guidance.map(|guidance| vec![guidance; batch]),
            references: References { latents: references.collect::<Result<_, _>>()?, method: entry.reference_method },
        })
    }

    /// The channels an inpainting or instruct-pix2pix network takes beside the latent's.
    fn concat(&self, entry: &Condition) -> Result<Option<Tensor<4>>, SamplingError> {
        let [batch, channels, height, width] = self.latent.dims();
        let extra = self.model.extra_channels();
        if extra == 0 {
            return Ok(None);
        }
        let fit = |x: &Tensor<4>| spread_batch(cut_to_fit(x, width, height)?, batch);
        if self.model.side_inputs() == SideInputs::Pooled {
            return self.packed_concat(entry, extra).map(Some);
        }
        if self.model.side_inputs() == SideInputs::LowRes {
            return Ok(Some(spread_batch(self.low_res(entry)?, batch)?));
        }
        if extra == channels {
            let scaled = self.model.side_inputs() == SideInputs::ScaledImage;
            let scale = |x: Tensor<4>| if scaled { self.format.process_in(x) } else { x };
            let image = entry.concat.as_ref().map(|concat| fit(&concat.latent).map(scale)).transpose()?;
            return Ok(Some(image.unwrap_or_else(|| self.latent.zeros_like())));
        }
        let own_mask = entry.concat.as_ref().and_then(|concat| concat.mask.as_ref());
        let Some(mask) = own_mask.or(self.mask) else {
            return Ok(Some(blank(self.latent)));
        };
        let image = match &entry.concat {
            Some(concat) => fit(&self.format.process_in(concat.latent.clone()))?,
            None => self.latent.clone(),
        };
        let mask = fit(&mask.clone().narrow(1, 0, 1))?.round();
        Ok(Some(Tensor::cat(vec![mask, image], 1)))
    }
}

impl PrepareContext<'_> {
    /// A scaled image, black without one, and where `extra` channels are more than its own, a mask whose 64 channels are the
    /// pixels of each cell: the condition's, the run's, or all of it.
    ///
    /// Source: ComfyUI `comfy/model_base.py`, `Flux.concat_cond`.
    fn packed_concat(&self, entry: &Condition, extra: usize) -> Result<Tensor<4>, SamplingError> {
        const SIDE: usize = 8;
        let ([batch, _, height, width], channels) = (self.latent.dims(), self.model.channels());
        let fit = |x: &Tensor<4>, scale: usize| spread_batch(cut_to_fit(x, width * scale, height * scale)?, batch);
        let image = match &entry.concat {
            Some(concat) => concat.latent.clone(),
            None => Tensor::zeros([1, channels, height, width], &self.latent.device()),
        };
        let image = fit(&self.format.process_in(image), 1)?;
        if extra <= channels {
            return Ok(image);
        }
        let own = entry.concat.as_ref().and_then(|concat| concat.mask.as_ref());
        let mask = match own.or(self.mask) {
            Some(mask) => fit(&mask.clone().mean_dim(1), SIDE)?,
            None => Tensor::ones([batch, 1, height * SIDE, width * SIDE], &self.latent.device()),
        };
        let blocks = mask.reshape([batch, height, SIDE, width, SIDE]).permute([0, 2, 4, 1, 3]);
        Ok(Tensor::cat(vec![image, blocks.reshape([batch, SIDE * SIDE, height, width])], 1))
    }
}

/// A prompt weight like `(cat:1e99)` makes numbers that no network survives; reported here, where it still has a name.
fn check_finite(context: &Tensor<3>, role: Role) -> Result<(), SamplingError> {
    let values = context.try_to_vec_as::<f32>().map_err(|e| SamplingError::Read(e.to_string()))?;
    let Some(found) = values.into_iter().find(|v| !v.is_finite()) else { return Ok(()) };
    let expected = "a prompt of finite numbers (is there a weight like `(word:1e9)` or too many brackets in it?)";
    Err(SamplingError::Number { what: role.name(), found: f64::from(found), expected })
}

/// Cut in its middle to the sides' ratio, then resized bilinearly.
pub(super) fn cut_to_fit(x: &Tensor<4>, width: usize, height: usize) -> Result<Tensor<4>, SamplingError> {
    let [_, _, h, w] = x.dims();
    if (h, w) == (height, width) {
        return Ok(x.clone());
    }
    let unfit = |error: ImageError| SamplingError::Read(error.to_string());
    let planes = Planes::from_tensor(x).map_err(unfit)?;
    let fitted = common_upscale(&planes, width, height, Method::Bilinear, Crop::Center).map_err(unfit)?;
    Ok(fitted.to_tensor(&x.device()))
}

/// As many items as the batch has, spread over it evenly: the reference's way with images to work on.
pub(super) fn spread_batch<const D: usize>(x: Tensor<D>, batch: usize) -> Result<Tensor<D>, SamplingError> {
    let own = x.dims()[0];
    if own == batch {
        return Ok(x);
    }
    if own == 0 {
        let expected = "at least one image".to_owned();
        return Err(SamplingError::Shape { what: "concat_latent_image", expected, found: x.dims().to_vec() });
    }
    let item = |i: usize| {
        let at = if batch <= 1 {
            0.0
        } else if batch < own {
            (i as f64 * (own - 1) as f64 / (batch - 1) as f64).round_ties_even()
        } else {
            ((i as f64 + 0.5) * own as f64 / batch as f64).floor()
        };
        x.clone().narrow(0, (at as usize).min(own - 1), 1)
    };
    Ok(Tensor::cat((0..batch).map(item).collect(), 0))
}

/// What an inpainting network sees without a mask: everything is to be drawn, over grey.
fn blank(latent: &Tensor<4>) -> Tensor<4> {
    let [batch, _, height, width] = latent.dims();
    let plane = |value: f32| Tensor::<4>::full([batch, 1, height, width], value, &latent.device());
    Tensor::cat([1.0, 0.8223, -0.6876, 0.6364, 0.1380].map(plane).to_vec(), 1)
}

fn in_cells(area: Area, rows: usize, columns: usize) -> Result<Rect, SamplingError> {
    let part = |p: f64, of: usize| (p * of as f64).round_ties_even().max(0.0) as usize;
    let rect = match area {
        Area::Cells { height, width, y, x } => Rect { height, width, y, x },
        Area::Fraction { height, width, y, x } => Rect {
            height: part(height, rows).max(1),
            width: part(width, columns).max(1),
            y: part(y, rows),
            x: part(x, columns),
        },
    };
    if rect.height == 0 || rect.width == 0 || rect.y >= rows || rect.x >= columns {
        return Err(SamplingError::Shape {
            what: "area",
            expected: format!("height, width, y, x inside of the latent's {rows} x {columns} cells, not empty"),
            found: vec![rect.height, rect.width, rect.y, rect.x],
        });
    }
    Ok(rect)
}

/// The box around what isn't zero in any mask of the batch, at least 8 cells a side.
fn bounding_box(mask: &Tensor<3>) -> Result<Rect, SamplingError> {
    const LEAST: usize = 8;
    let [_, height, width] = mask.dims();
    let values = mask.try_to_vec_as::<f32>().map_err(|e| SamplingError::Read(e.to_string()))?;
    let used = values.iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| i % (height * width));
    let (mut top, mut left, mut bottom, mut right) = (height, width, 0, 0);
    for i in used {
        let (y, x) = (i / width, i % width);
        (top, left, bottom, right) = (top.min(y), left.min(x), bottom.max(y), right.max(x));
    }
    if top > bottom {
        return Ok(Rect { height: LEAST, width: LEAST, y: 0, x: 0 });
    }
    let side = |low: usize, high: usize| (high - low + 1).max(LEAST);
    Ok(Rect { height: side(top, bottom), width: side(left, right), y: top, x: left })
}
