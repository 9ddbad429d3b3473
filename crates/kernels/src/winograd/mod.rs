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
mod weights;

use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use crate::{
    Isa, KernelError,
    error::Check,
    simd::{COLUMNS, ROWS},
};

/// Points of the transformed domain, 6 x 6.
const POINTS: usize = 36;
/// Rows and columns of outputs that one tile makes.
const SIDE: usize = 4;
/// Bytes that the transformed image of a group of tiles may take: a quarter of a usual last-level cache.
const GROUP_BYTES: usize = 8 << 20;
/// Bytes that the transformed weights of one point may take in a task with many tiles, so that they stay in a
/// second-level cache while the tiles pass by.
const POINT_BYTES: usize = 192 << 10;
/// Output channels of one task at most: more would not read the image's tiles much less often.
const OUTPUTS: usize = 96;
/// Panels up to which a task transforms its weights in pieces of [`PIECE`] input channels and [`PIECE_OUTPUTS`] output
/// channels, all 36 points of which fit into a second-level cache beside the products.
const FEW_PANELS: usize = 4;
const PIECE: usize = 64;
const PIECE_OUTPUTS: usize = 24;

/// The sizes of one 3x3 convolution with stride 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Winograd {
    /// Images.
    pub batch: usize,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Rows and columns of the input.
    pub image: [usize; 2],
    /// Zeros above, below, to the left and to the right of the image.
    pub padding: [usize; 4],
}

impl Winograd {
    /// Rows and columns of the output; 0 where the padded image is smaller than the kernel.
    pub fn output(&self) -> [usize; 2] {
        let [top, bottom, left, right] = self.padding;
        let side = |len: usize, before: usize, after: usize| (len + before + after).saturating_sub(2);
        [side(self.image[0], top, bottom), side(self.image[1], left, right)]
    }

    /// Tiles of all images: what the transformed weights are shared by. Below sixteen most of the work is wasted.
    pub fn tiles(&self) -> usize {
        let [rows, columns] = self.tile_grid();
        self.batch * rows * columns
    }

    /// Bytes of scratch that a call takes on `threads` threads, besides its output.
    pub fn scratch_bytes(&self, threads: usize) -> usize {
        let plan = Plan::new(*self, threads);
        4 * (plan.panels * plan.panel_len() + threads * plan.block_len())
    }

    fn tile_grid(&self) -> [usize; 2] {
        self.output().map(|len| len.div_ceil(SIDE))
    }
}

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

/// How a call is cut up. The number of threads decides on `outputs` alone, on which no sum depends.
#[derive(Debug, Clone, Copy)]
struct Plan {
    sizes: Winograd,
    /// Panels of 16 tiles per group.
    panels: usize,
    /// Output channels per task.
    outputs: usize,
    /// Input channels whose weights a task transforms at once.
    piece: usize,
}

impl Plan {
    fn new(sizes: Winograd, threads: usize) -> Self {
        let total = sizes.tiles().div_ceil(COLUMNS).max(1);
        let mut plan = Self { sizes, panels: total, outputs: PIECE_OUTPUTS, piece: PIECE };
        plan.panels = (GROUP_BYTES / (4 * plan.panel_len())).clamp(1, total);
        if total > FEW_PANELS {
            plan.piece = sizes.inputs;
            let fitting = (POINT_BYTES / (4 * plan.row_len())).clamp(12, OUTPUTS);
            let tasks = threads * sizes.outputs.div_ceil(threads * fitting).max(1);
            plan.outputs = sizes.outputs.div_ceil(tasks).next_multiple_of(ROWS);
        }
        plan
    }

    /// Panels that a task multiplies before it transforms their products back. With several pieces it is all of them.
    fn panels_at_once(&self) -> usize {
        if self.piece < self.sizes.inputs { FEW_PANELS } else { 2 }
    }

    /// Floats of the products of one panel from one point to the next: `[outputs + 1][16]`.
    fn product_len(&self) -> usize {
        self.outputs * COLUMNS + COLUMNS
    }

    /// Floats from one point to the next in a panel. The odd sixteen keep the points off the same lines of the cache.
    fn point_len(&self) -> usize {
        self.sizes.inputs * COLUMNS + COLUMNS
    }

    /// Floats of a panel: `[36][inputs + 1][16]`.
    fn panel_len(&self) -> usize {
        POINTS * self.point_len()
    }

    /// Floats from one row of transformed weights to the next, again with an odd sixteen.
    fn row_len(&self) -> usize {
        self.piece.next_multiple_of(16) + 16
    }

    /// Floats of a task's scratch: transformed weights, then products.
    fn block_len(&self) -> usize {
        self.weights_len() + self.panels_at_once() * POINTS * self.product_len()
    }

    fn weights_len(&self) -> usize {
        POINTS * self.outputs * self.row_len()
    }
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
