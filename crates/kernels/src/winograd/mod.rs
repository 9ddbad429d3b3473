//! 3x3 convolution, stride 1, by Winograd's minimal filtering F(4x4, 3x3): 36 products per 4x4 outputs instead of 144
//! (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! ```text
//! weights g ──G g Gᵀ──▶ U [36][out][in] ───┐
//!                                           ├─▶ M = U V for each of 36 ──Aᵀ M A + bias──▶ 4x4 outputs
//! image   d ──Bᵀ d B──▶ V [36][in][tiles] ─┘
//! ```
//! Transformed weights are four times their source, so they are never kept: a task transforms those of a few output
//! channels into scratch, uses them for all tiles of its group and forgets them. Scratch belongs to the call and is
//! bounded, see [`Winograd::scratch_bytes`].
//!
//! An infinite or missing input pixel makes all outputs of the tiles that see it infinite or NaN, some more than the
//! nine that a direct convolution spoils.

mod block;
mod image;
mod place;
mod plan;
mod weights;

pub use self::plan::Winograd;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use self::plan::Plan;
use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::scratch::Scratch;

/// Channels that a task transforms at least.
const CHANNELS: usize = 16;

/// Convolution (cross-correlation, as in torch) with a 3x3 kernel and stride 1.
///
/// # Shapes
/// `x` `[batch, inputs, image]`, `weight` `[outputs, inputs, 3, 3]`, `bias` `[outputs]` or empty, `out`
/// `[batch, outputs, sizes.output()]`.
/// # Errors
/// [`KernelError`] when lengths do not fit.
pub fn winograd(
    isa: Isa,
    sizes: Winograd,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("winograd");
    let [height, width] = sizes.output();
    check.len("x", x.len(), check.product("x", &[sizes.batch, sizes.inputs, sizes.image[0], sizes.image[1]])?)?;
    check.len("weight", weight.len(), check.product("weight", &[sizes.outputs, sizes.inputs, 9])?)?;
    check.len("bias", bias.len(), if bias.is_empty() { 0 } else { sizes.outputs })?;
    check.len("out", out.len(), check.product("out", &[sizes.batch, sizes.outputs, height, width])?)?;
    if out.is_empty() {
        return Ok(());
    }
    let isa = isa.for_lanes(sizes.tiles());
    let threads = rayon::current_num_threads();
    let plan = Plan::new(sizes, threads, isa.shape());
    let mut image = Scratch::zeros(plan.panels * plan.panel_len());
    let blocks = Spare::new(plan.block_len());
    let total = sizes.tiles().div_ceil(plan.columns);
    for first in (0..total).step_by(plan.panels) {
        let panels = plan.panels.min(total - first);
        let image = &mut image[..panels * plan.panel_len()];
        let tasks = channels_of_tasks(plan, threads, first, x, image);
        tasks.into_par_iter().for_each(|task| isa.run(task));
        let image = &*image;
        planes_of_tasks(plan, out).into_par_iter().enumerate().for_each(|(i, planes)| {
            let mut scratch = blocks.take();
            let first_output = i * plan.outputs;
            isa.run(block::Block {
                plan,
                weight,
                bias,
                first_output,
                first_panel: first,
                image,
                planes,
                scratch: &mut scratch,
            });
            blocks.give(scratch);
        });
    }
    Ok(())
}

/// The transforms of a group's panels, cut up by channels where the panels are few.
fn channels_of_tasks<'a>(
    plan: Plan,
    threads: usize,
    first_panel: usize,
    x: &'a [f32],
    image: &'a mut [f32],
) -> Vec<image::Panel<'a>> {
    let panels = image.len() / plan.panel_len();
    let channels = plan.sizes.inputs.div_ceil((4 * threads).div_ceil(panels)).max(CHANNELS);
    let mut tasks = Vec::new();
    for (i, panel) in image.chunks_exact_mut(plan.panel_len()).enumerate() {
        let first_tile = (first_panel + i) * plan.columns;
        let first = tasks.len();
        tasks.extend((0..plan.sizes.inputs).step_by(channels).map(|first_channel| image::Panel {
            plan,
            x,
            first_tile,
            first_channel,
            to: Vec::with_capacity(plan::POINTS),
        }));
        for point in panel.chunks_exact_mut(plan.point_len()) {
            let point = &mut point[..plan.sizes.inputs * plan.columns];
            for (task, to) in tasks[first..].iter_mut().zip(point.chunks_mut(channels * plan.columns)) {
                task.to.push(to);
            }
        }
    }
    tasks
}

/// Each task's planes of `out`: those of its output channels, first of the first image, then of the next.
fn planes_of_tasks(plan: Plan, out: &mut [f32]) -> Vec<Vec<&mut [f32]>> {
    let Winograd { outputs, .. } = plan.sizes;
    let [height, width] = plan.sizes.output();
    let mut tasks: Vec<Vec<&mut [f32]>> = (0..outputs.div_ceil(plan.outputs)).map(|_| Vec::new()).collect();
    for (i, plane) in out.chunks_exact_mut(height * width).enumerate() {
        tasks[i % outputs / plan.outputs].push(plane);
    }
    tasks
}

/// Scratch that tasks of one call hand on to each other: as many blocks as run at once, freed with the call.
struct Spare {
    len: usize,
    blocks: Mutex<Vec<Scratch>>,
}

impl Spare {
    fn new(len: usize) -> Self {
        Self { len, blocks: Mutex::new(Vec::new()) }
    }

    fn take(&self) -> Scratch {
        let block = self.blocks().pop();
        block.unwrap_or_else(|| Scratch::zeros(self.len))
    }

    fn give(&self, block: Scratch) {
        self.blocks().push(block);
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
