//! The sizes of a convolution, and how a call is cut up into tiles, panels and tasks. Computes nothing.

use crate::simd::{MOST_LANES, MOST_ROWS, Shape};

/// Points of the transformed domain, 6 x 6.
pub(super) const POINTS: usize = 36;
/// Rows and columns of outputs that one tile makes.
pub(super) const SIDE: usize = 4;
/// Bytes that the transformed image of a group of tiles may take: a quarter of a usual last-level cache.
const GROUP_BYTES: usize = 8 << 20;
/// Bytes that the transformed weights of one point may take in a task with many tiles, so that they stay in a
/// second-level cache while the tiles pass by.
const POINT_BYTES: usize = 192 << 10;
/// Output channels of one task at most: more would not read the image's tiles much less often.
const OUTPUTS: usize = 96;
/// The same with vectors of sixteen lanes, whose panels take twice as much of a cache.
const LONG_OUTPUTS: usize = 48;
/// Tiles up to which a task transforms its weights in pieces of [`PIECE`] input channels and [`PIECE_OUTPUTS`] output
/// channels, all 36 points of which fit into a second-level cache beside the products.
const FEW_TILES: usize = 64;
const PIECE: usize = 64;
const PIECE_OUTPUTS: usize = 24;
/// Panels that a task multiplies before it transforms their products back.
const PANELS_AT_ONCE: usize = 2;

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

    /// Tiles of all images: what the transformed weights are shared by. Below eight most of the work is wasted.
    pub fn tiles(&self) -> usize {
        let [rows, columns] = self.tile_grid();
        self.batch * rows * columns
    }

    /// Bytes of scratch that a call takes at most on `threads` threads, besides its output, on any instruction set.
    pub fn scratch_bytes(&self, threads: usize) -> usize {
        let shapes =
            [Shape { lanes: MOST_LANES, rows: MOST_ROWS }, Shape { lanes: MOST_LANES / 2, rows: MOST_ROWS / 2 }];
        let bytes = shapes.map(|shape| {
            let plan = Plan::new(*self, threads, shape);
            4 * (plan.panels * plan.panel_len() + threads * plan.block_len())
        });
        bytes[0].max(bytes[1])
    }

    pub(super) fn tile_grid(&self) -> [usize; 2] {
        self.output().map(|len| len.div_ceil(SIDE))
    }
}

/// How a call is cut up. The number of threads decides on `outputs` alone, on which no sum depends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) sizes: Winograd,
    /// Vectors of a row of a panel: one or two.
    pub(super) vectors: usize,
    /// Tiles of a panel: one for each lane of its vectors.
    pub(super) columns: usize,
    /// Panels per group.
    pub(super) panels: usize,
    /// Output channels per task.
    pub(super) outputs: usize,
    /// Input channels whose weights a task transforms at once.
    pub(super) piece: usize,
}

impl Plan {
    pub(super) fn new(sizes: Winograd, threads: usize, shape: Shape) -> Self {
        let tiles = sizes.tiles().max(1);
        let vectors = vectors(tiles, shape.lanes);
        let columns = vectors * shape.lanes;
        let total = tiles.div_ceil(columns);
        let mut plan = Self { sizes, vectors, columns, panels: total, outputs: PIECE_OUTPUTS, piece: PIECE };
        plan.panels = (GROUP_BYTES / (4 * plan.panel_len())).clamp(1, total);
        if tiles > FEW_TILES {
            plan.piece = sizes.inputs;
            let most = if shape.lanes > 8 { LONG_OUTPUTS } else { OUTPUTS };
            let fitting = (POINT_BYTES / (4 * plan.row_len())).clamp(12, most);
            let tasks = threads * sizes.outputs.div_ceil(threads * fitting).max(1);
            plan.outputs = sizes.outputs.div_ceil(tasks).next_multiple_of(shape.rows);
        }
        plan
    }

    /// Panels that a task multiplies before it transforms their products back. With several pieces it is all of them.
    pub(super) fn panels_at_once(&self) -> usize {
        if self.piece < self.sizes.inputs { self.panels } else { PANELS_AT_ONCE.min(self.panels) }
    }

    /// Floats of the products of one panel from one point to the next: `[outputs][columns]` and sixteen between.
    pub(super) fn product_len(&self) -> usize {
        self.outputs * self.columns + 16
    }

    /// Floats from one point to the next in a panel. The odd sixteen keep the points off the same lines of the cache.
    pub(super) fn point_len(&self) -> usize {
        self.sizes.inputs * self.columns + 16
    }

    /// Floats of a panel: `[36][inputs][columns]`.
    pub(super) fn panel_len(&self) -> usize {
        POINTS * self.point_len()
    }

    /// Floats from one row of transformed weights to the next, again with an odd sixteen.
    pub(super) fn row_len(&self) -> usize {
        self.piece.next_multiple_of(16) + 16
    }

    /// Floats of a task's scratch: transformed weights, then products.
    pub(super) fn block_len(&self) -> usize {
        self.weights_len() + self.panels_at_once() * POINTS * self.product_len()
    }

    pub(super) fn weights_len(&self) -> usize {
        POINTS * self.outputs * self.row_len()
    }
}

/// Panels of one vector where they hold fewer lanes without a tile. A tenth is what they cost: they load an operand for
/// each product, those of two vectors for every other one.
fn vectors(tiles: usize, lanes: usize) -> usize {
    let (one, two) = (11 * tiles.div_ceil(lanes), 20 * tiles.div_ceil(2 * lanes));
    if one < two { 1 } else { 2 }
}
