//! 3x3 convolution, stride 1, by Winograd's minimal filtering F(4x4, 3x3): 36 products per 4x4 outputs instead of 144
//! (Lavin and Gray 2015, arXiv:1509.09308).
//!
//! ```text
//! weights g ──G g Gᵀ──▶ U [36][out][in] ┐
//!                                        ├─▶ M = U V for each of 36 ──Aᵀ M A + bias──▶ 4x4 outputs
//! image   d ──Bᵀ d B──▶ V [36][in][16] ─┘
//! ```
//! Transformed weights are four times their source, so they are never kept: a task transforms those of a few output
//! channels into scratch, uses them for all tiles of its group and forgets them. Scratch belongs to the call and is
//! bounded, see [`Winograd::scratch_bytes`].
//!
//! An infinite or missing input pixel makes all outputs of the tiles that see it infinite or NaN, some more than the
//! nine that a direct convolution spoils.

mod block;
mod image;
mod plan;
mod weights;

pub use self::plan::Winograd;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use self::plan::Plan;
use crate::error::{Check, KernelError};
use crate::isa::Isa;
use crate::simd::COLUMNS;

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
    let plan = Plan::new(sizes, rayon::current_num_threads());
    let mut image = vec![0.0; plan.panels * plan.panel_len()];
    let blocks = Spare::new(plan.block_len());
    let total = sizes.tiles().div_ceil(COLUMNS);
    for first in (0..total).step_by(plan.panels) {
        let panels = plan.panels.min(total - first);
        let image = &mut image[..panels * plan.panel_len()];
        image.par_chunks_mut(plan.panel_len()).enumerate().for_each(|(i, panel)| {
            isa.run(image::Panel {
                sizes,
                x,
                first_tile: (first + i) * COLUMNS,
                point_len: plan.point_len(),
                to: panel,
            });
        });
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
    blocks: Mutex<Vec<Vec<f32>>>,
}

impl Spare {
    fn new(len: usize) -> Self {
        Self { len, blocks: Mutex::new(Vec::new()) }
    }

    fn take(&self) -> Vec<f32> {
        let block = self.blocks().pop();
        block.unwrap_or_else(|| vec![0.0; self.len])
    }

    fn give(&self, block: Vec<f32>) {
        self.blocks().push(block);
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
