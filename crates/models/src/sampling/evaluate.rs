//! One evaluation of several lists of conditions at a noise level: batching, areas, masks, averaging.

use std::sync::Mutex;

use burn::tensor::{Tensor, TensorData};

use super::hooked::HookedModels;
use super::inpaint::repeat_batch;
use super::predictor::{Inputs, Predictor, StepInputs};
use super::prepare::{Prepared, Rect};
use super::reuse::StepMemory;
use crate::nets::hooks::{BetweenAttentions, MiddleAttention, SkippedBlocks};
use crate::nets::{ConditionInputs, PassModifiers};
use crate::random::TorchGenerator;
use crate::sampler::SamplingError;
use crate::weight_hooks::HookGroup;

/// How far an area without a mask fades at its inner edges, in cells.
const FEATHER: usize = 8;
/// Prompts share a batch while the shorter one isn't repeated more often than this.
const MOST_REPEATS: usize = 4;

/// One evaluation of a model, under whatever conditions.
#[derive(Clone, Copy)]
pub(super) struct EvalRequest<'a> {
    pub(super) model: &'a dyn Predictor,
    /// The model where hooks of conditions change it.
    pub(super) hooks: &'a dyn HookedModels,
    /// The noisy latents, `[B, C, h, w]`.
    pub(super) x: &'a Tensor<4>,
    /// How many frames are folded into the channels.
    pub(super) frames: usize,
    pub(super) sigma: f32,
    /// How many conditions may go through the network together.
    pub(super) max_batch: usize,
    pub(super) middle: MiddleAttention<'a>,
    /// Blocks that the network leaves out.
    pub(super) skipped: Option<&'a SkippedBlocks>,
    pub(super) rng: Option<&'a Mutex<TorchGenerator>>,
    /// What the run remembers of its steps, where the network's outputs may be guessed.
    pub(super) memory: Option<&'a StepMemory>,
}

/// A condition that holds now.
struct Task<'a> {
    list: usize,
    condition: &'a Prepared,
    area: Option<Rect>,
    x: Tensor<4>,
    mult: Mult,
}

/// The weight of a condition's prediction.
enum Mult {
    /// The same everywhere.
    Even(f32),
    /// Per place, broadcastable to the crop.
    Map(Box<Tensor<4>>),
}

/// The weighted average of each list's predictions; `None` for lists that aren't given.
///
/// A list whose conditions all rest at this level gives zeros, as the reference does.
pub(super) fn evaluate(
    request: &EvalRequest<'_>,
    lists: &[Option<&[Prepared]>],
) -> Result<Vec<Option<Tensor<4>>>, SamplingError> {
    let EvalRequest { x, max_batch, .. } = *request;
    let mut pending = tasks(request, lists)?;
    let mut sums: Vec<Sum> = lists.iter().map(|_| Sum::default()).collect();
    while !pending.is_empty() {
        let batch = take_batch(&mut pending, max_batch, request.model.repeats_prompts());
        let outputs = run(request, &batch)?;
        for (task, output) in batch.into_iter().zip(outputs) {
            sums[task.list].add(x, task, output);
        }
    }
    Ok(lists.iter().zip(sums).map(|(list, sum)| list.map(|_| sum.average(x))).collect())
}

/// What is to be evaluated at this level: the conditions of each list that hold, and default ones where those leave room.
/// Conditions with the same hooks follow each other.
fn tasks<'a>(request: &EvalRequest<'_>, lists: &[Option<&'a [Prepared]>]) -> Result<Vec<Task<'a>>, SamplingError> {
    let EvalRequest { x, sigma, .. } = *request;
    let mut tasks: Vec<Task<'a>> = Vec::new();
    let holding = |list: usize, default: bool| {
        lists[list].into_iter().flatten().filter(move |c| c.default == default && c.holds_at(sigma))
    };
    for list in 0..lists.len() {
        tasks.extend(holding(list, false).map(|condition| Task::new(list, condition, x)));
    }
    for list in 0..lists.len() {
        let mut defaults = holding(list, true).peekable();
        if defaults.peek().is_none() {
            continue;
        }
        let rest = uncovered(x, tasks.iter().filter(|task| task.list == list && !task.condition.default));
        if largest(&rest)? == 0.0 {
            continue;
        }
        tasks.extend(defaults.map(|condition| {
            let task = Task::new(list, condition, x);
            Task { mult: Mult::Map(Box::new(crop(&rest, task.area))), ..task }
        }));
    }
    for hooks in tasks.iter().filter_map(Task::hooks) {
        request.hooks.tick(hooks, sigma);
    }
    let first = |task: &Task<'_>| tasks.iter().position(|other| other.shares_hooks(task)).unwrap_or(0);
    let order: Vec<usize> = tasks.iter().map(first).collect();
    let mut ordered: Vec<(usize, Task<'a>)> = order.into_iter().zip(tasks).collect();
    // Stable: without hooks everything stays where it is.
    ordered.sort_by_key(|(first, _)| *first);
    Ok(ordered.into_iter().map(|(_, task)| task).collect())
}

/// Where conditions leave room for others: 1 less their weights, and not less than 0. `[B, C, h, w]`.
fn uncovered<'t, 'a: 't>(x: &Tensor<4>, tasks: impl Iterator<Item = &'t Task<'a>>) -> Tensor<4> {
    let rest = tasks.fold(x.ones_like(), |rest, task| match &task.mult {
        Mult::Even(weight) => rest - *weight,
        Mult::Map(map) => added(rest, -map.clone().expand(task.x.dims()), task.area),
    });
    rest.clamp_min(0.0)
}

fn largest(map: &Tensor<4>) -> Result<f32, SamplingError> {
    map.clone().max().try_into_scalar::<f32>().map_err(|error| SamplingError::Read(error.to_string()))
}

/// Takes the first task and those that can share its batch, the last one first, as many as may go together.
fn take_batch<'a>(pending: &mut Vec<Task<'a>>, max_batch: usize, repeats: bool) -> Vec<Task<'a>> {
    let fitting: Vec<usize> = (0..pending.len()).rev().filter(|&i| pending[i].joins(&pending[0], repeats)).collect();
    let amount = (1..=fitting.len()).map(|part| fitting.len() / part).find(|&n| n <= max_batch.max(1)).unwrap_or(1);
    // The indices fall, so each removal leaves the later ones in place.
    fitting.into_iter().take(amount).map(|i| pending.remove(i)).collect()
}

fn run(request: &EvalRequest<'_>, batch: &[Task<'_>]) -> Result<Vec<Tensor<4>>, SamplingError> {
    let items = batch[0].x.dims()[0];
    let tokens = batch.iter().fold(1, |all, task| lcm(all, task.tokens()));
    let stack = |part: &dyn Fn(&Task<'_>) -> Option<Tensor<4>>| {
        let parts: Option<Vec<_>> = batch.iter().map(part).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| Tensor::cat(parts, 0))
    };
    let context = batch.iter().map(|task| {
        let context = &task.condition.inputs.context;
        repeat_batch(context.clone().repeat_dim(1, tokens / task.tokens().max(1)), items)
    });
    let vectors: Option<Vec<_>> =
        batch.iter().map(|task| task.condition.inputs.vector.clone().map(|v| repeat_batch(v, items))).collect();
    let control_contexts: Option<Vec<_>> = batch
        .iter()
        .map(|task| task.condition.inputs.control_context.clone().map(|context| repeat_batch(context, items)))
        .collect();
    let given: Vec<ConditionInputs> = batch.iter().map(|task| task.condition.inputs.given.clone()).collect();
    let between = between(batch)?;
    let inputs = Inputs {
        context: Tensor::cat(context.collect(), 0),
        control_context: control_contexts.map(|contexts| Tensor::cat(contexts, 0)),
        vector: vectors.map(|vectors| Tensor::cat(vectors, 0)),
        concat: stack(&|task| task.condition.inputs.concat.clone().map(|c| crop(&c, task.area))),
        control: batch[0].condition.control.as_deref(),
        conditions: batch.len(),
        negative: batch.iter().flat_map(|task| std::iter::repeat_n(task.condition.inputs.negative, items)).collect(),
        latent_frames: request.frames,
        given: ConditionInputs::stacked(&given),
        modifiers: PassModifiers { between: between.as_deref(), ..modifiers(request, batch) },
        steps: request.memory.map(|memory| StepInputs { memory, conditions: batch.iter().map(Task::id).collect() }),
    };
    let x = Tensor::cat(batch.iter().map(|task| task.x.clone()).collect(), 0);
    let output = match &batch[0].condition.hooks {
        Some(hooks) => request.hooks.model(hooks)?.denoised(x, request.sigma, inputs)?,
        None => request.model.denoised(x, request.sigma, inputs)?,
    };
    if let (MiddleAttention::Recorded(recorder), Some(negative)) = (request.middle, first_negative(batch)) {
        recorder.narrow(negative * items, items);
    }
    Ok((0..batch.len()).map(|i| output.clone().narrow(0, i * items, items)).collect())
}

/// Attention is recorded where the negative is among the batch.
fn modifiers<'a>(request: &EvalRequest<'a>, batch: &[Task<'_>]) -> PassModifiers<'a> {
    let middle = match request.middle {
        MiddleAttention::Recorded(_) if first_negative(batch).is_none() => MiddleAttention::Plain,
        middle => middle,
    };
    let hooks = request.model.patches().map(|patches| &patches.hooks);
    PassModifiers { hooks, between: None, middle, skipped: request.skipped, rng: request.rng }
}

/// What the first condition puts between the attentions; one that does so is alone in its batch.
fn between(batch: &[Task<'_>]) -> Result<Option<Box<dyn BetweenAttentions>>, SamplingError> {
    let Some(grounding) = &batch[0].condition.grounding else { return Ok(None) };
    let [_, _, height, width] = batch[0].x.dims();
    Ok(Some(Box::new(grounding.at([height, width], &batch[0].x.device())?)))
}

fn first_negative(batch: &[Task<'_>]) -> Option<usize> {
    batch.iter().position(|task| task.condition.inputs.negative)
}

impl<'a> Task<'a> {
    fn new(list: usize, condition: &'a Prepared, x: &Tensor<4>) -> Self {
        let [batch, _, height, width] = x.dims();
        let area = condition.area.map(|area| Rect {
            height: area.height.min(height - area.y),
            width: area.width.min(width - area.x),
            ..area
        });
        let strength = condition.strength as f32;
        let mult = match (&condition.mask, area) {
            (Some((mask, factor)), _) => {
                let [own, ..] = mask.dims();
                let mask = mask.clone().narrow(0, 0, own.min(batch)).reshape([own.min(batch), 1, height, width]);
                Mult::Map(Box::new(crop(&repeat_batch(mask, batch), area) * *factor as f32 * strength))
            }
            (None, Some(area)) => Mult::Map(Box::new(feathered(area, (height, width), strength, x))),
            (None, None) => Mult::Even(strength),
        };
        Self { list, condition, area, x: crop(x, area), mult }
    }

    fn hooks(&self) -> Option<&'a HookGroup> {
        self.condition.hooks.as_deref()
    }

    /// Whether the model's weights are the same for both.
    fn shares_hooks(&self, other: &Self) -> bool {
        match (self.hooks(), other.hooks()) {
            (Some(own), Some(theirs)) => own.is_same(theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// The same for a condition as long as a run takes: where it lies.
    fn id(&self) -> usize {
        std::ptr::from_ref(self.condition).addr()
    }

    fn tokens(&self) -> usize {
        self.condition.inputs.context.dims()[1]
    }

    /// Whether both can be evaluated in one batch, the shorter prompt repeated where the network `repeats` them.
    fn joins(&self, other: &Self, repeats: bool) -> bool {
        let (a, b) = (&self.condition.inputs, &other.condition.inputs);
        let same_control = match (&self.condition.control, &other.condition.control) {
            (Some(a), Some(b)) => std::sync::Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        let grounded = self.condition.grounding.is_some() || other.condition.grounding.is_some();
        if grounded && !std::ptr::eq(self.condition, other.condition) {
            return false;
        }
        let (own, theirs) = (a.context.dims(), b.context.dims());
        let shortest = own[1].min(theirs[1]).max(1);
        let tokens_fit = own[1] == theirs[1] || (repeats && lcm(own[1], theirs[1]) / shortest <= MOST_REPEATS);
        self.shares_hooks(other)
            && self.x.dims() == other.x.dims()
            && same_control
            && own[2] == theirs[2]
            && tokens_fit
            && a.control_context.as_ref().map(Tensor::dims) == b.control_context.as_ref().map(Tensor::dims)
            && a.vector.as_ref().map(Tensor::dims) == b.vector.as_ref().map(Tensor::dims)
            && a.given.joins(&b.given)
            && a.concat.as_ref().map(Tensor::dims) == b.concat.as_ref().map(Tensor::dims)
    }
}

/// A weighted sum over a list's predictions.
#[derive(Default)]
struct Sum {
    /// Sum of outputs and of weights over the whole latent.
    totals: Option<(Tensor<4>, Tensor<4>)>,
    /// A lone prediction that holds everywhere alike: no weighing needed.
    alone: Option<Tensor<4>>,
}

impl Sum {
    fn add(&mut self, x: &Tensor<4>, task: Task<'_>, output: Tensor<4>) {
        if let (Mult::Even(_), None, None) = (&task.mult, &self.totals, &self.alone) {
            self.alone = Some(output.clone());
        } else {
            self.alone = None;
        }
        let mult = match task.mult {
            Mult::Even(strength) => output.ones_like() * strength,
            Mult::Map(map) => map.expand(output.dims()),
        };
        let (sum, weight) = self.totals.take().unwrap_or_else(|| (x.zeros_like(), x.ones_like() * 1e-37));
        self.totals = Some((added(sum, output * mult.clone(), task.area), added(weight, mult, task.area)));
    }

    fn average(self, x: &Tensor<4>) -> Tensor<4> {
        match (self.alone, self.totals) {
            (Some(output), _) => output,
            (None, Some((sum, weight))) => sum / weight,
            (None, None) => x.zeros_like(),
        }
    }
}

fn ranges(area: Rect, [batch, channels, ..]: [usize; 4]) -> [std::ops::Range<usize>; 4] {
    [0..batch, 0..channels, area.y..area.y + area.height, area.x..area.x + area.width]
}

fn crop(x: &Tensor<4>, area: Option<Rect>) -> Tensor<4> {
    match area {
        Some(area) => x.clone().slice(ranges(area, x.dims())),
        None => x.clone(),
    }
}

fn added(whole: Tensor<4>, part: Tensor<4>, area: Option<Rect>) -> Tensor<4> {
    let Some(area) = area else { return whole + part };
    let place = ranges(area, whole.dims());
    let sum = whole.clone().slice(place.clone()) + part;
    whole.slice_assign(place, sum)
}

/// Weights of an area, `[1, 1, h, w]`, fading where it ends inside of the latent.
fn feathered(area: Rect, (rows, columns): (usize, usize), strength: f32, like: &Tensor<4>) -> Tensor<4> {
    let vertical = fade(area.height, area.y, rows);
    let horizontal = fade(area.width, area.x, columns);
    let values: Vec<f32> = vertical.iter().flat_map(|v| horizontal.iter().map(move |h| strength * v * h)).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, area.height, area.width]), &like.device())
}

fn fade(size: usize, start: usize, whole: usize) -> Vec<f32> {
    let reach = FEATHER.min(size / 4);
    let mut weights = vec![1.0f32; size];
    for t in 0..reach {
        let weight = ((1.0 / reach as f64) * (t + 1) as f64) as f32;
        if start != 0 {
            weights[t] *= weight;
        }
        if start + size < whole {
            weights[size - 1 - t] *= weight;
        }
    }
    weights
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a.max(1), b.max(1));
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a.max(1) / x * b.max(1)
}
