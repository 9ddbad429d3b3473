//! Convolutions of any kernel and stride as a matrix product: weights times patches of the image, which are gathered a
//! panel at a time and never stored whole.

use std::ops::Range;

use crate::error::{Check, KernelError};
use crate::gemm::{Bias, Gemm, Right};
use crate::isa::Isa;
use crate::simd::{MOST_LANES, Simd};

/// Columns of the widest panel.
const MOST_COLUMNS: usize = 2 * MOST_LANES;

/// The sizes of one convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub batch: usize,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Rows and columns of the input.
    pub image: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps from one output to the next, in both directions.
    pub stride: usize,
    /// Zeros above, below, to the left and to the right of the image.
    pub padding: [usize; 4],
}

impl Conv {
    /// Rows and columns of the output; 0 where the padded image is smaller than the kernel, or the stride is 0.
    pub fn output(&self) -> [usize; 2] {
        let [top, bottom, left, right] = self.padding;
        let side = |len: usize, kernel: usize| match len.checked_sub(kernel) {
            Some(rest) if kernel > 0 => rest.checked_div(self.stride).map_or(0, |steps| steps + 1),
            _ => 0,
        };
        [side(self.image[0] + top + bottom, self.kernel[0]), side(self.image[1] + left + right, self.kernel[1])]
    }
}

/// Convolution (cross-correlation, as in torch) summed up directly.
///
/// # Shapes
/// `x` `[batch, inputs, image]`, `weight` `[outputs, inputs, kernel]`, `bias` `[outputs]` or empty, `out`
/// `[batch, outputs, sizes.output()]`.
/// # Errors
/// [`KernelError`] when lengths do not fit or there are no input channels.
pub fn conv2d(
    isa: Isa,
    sizes: Conv,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
) -> Result<(), KernelError> {
    let check = Check("conv2d");
    let [height, width] = sizes.output();
    let depth = check.product("weight", &[sizes.inputs, sizes.kernel[0], sizes.kernel[1]])?;
    let image = check.product("x", &[sizes.inputs, sizes.image[0], sizes.image[1]])?;
    check.len("x", x.len(), check.product("x", &[sizes.batch, image])?)?;
    check.len("weight", weight.len(), check.product("weight", &[sizes.outputs, depth])?)?;
    check.len("bias", bias.len(), if bias.is_empty() { 0 } else { sizes.outputs })?;
    check.len("out", out.len(), check.product("out", &[sizes.batch, sizes.outputs, height, width])?)?;
    if out.is_empty() {
        return Ok(());
    }
    if depth == 0 || image == 0 {
        return Err(check.error("inputs", "at least one pixel of one channel".into(), "none".into()));
    }
    let bias = if bias.is_empty() { Bias::None } else { Bias::Row(bias) };
    let columns = height * width;
    for (x, out) in x.chunks_exact(image).zip(out.chunks_exact_mut(sizes.outputs * columns)) {
        let right = Patches { sizes, x, width };
        Gemm { columns, depth, left: weight, right, bias }.run(isa, out);
    }
    Ok(())
}

/// Row `(channel, i, j)` holds, for each output pixel, the input pixel that weight `(i, j)` of the channel meets.
#[derive(Clone, Copy)]
struct Patches<'a> {
    sizes: Conv,
    /// One image.
    x: &'a [f32],
    /// Columns of the output.
    width: usize,
}

impl Right for Patches<'_> {
    #[inline(always)]
    fn pack<S: Simd>(&self, s: S, depth: Range<usize>, column: usize, vectors: usize, to: &mut [f32]) {
        let pixels = self.sizes.image[0] * self.sizes.image[1];
        let width = vectors * S::LANES;
        if self.sizes.kernel == [1, 1] && self.sizes.stride == 1 && self.sizes.padding == [0; 4] {
            for (channel, to) in depth.zip(to.chunks_exact_mut(width)) {
                let from = &self.x[channel * pixels..(channel + 1) * pixels][column..];
                for (i, to) in to.chunks_exact_mut(S::LANES).enumerate() {
                    s.store(s.load_some(from.get(i * S::LANES..).unwrap_or(&[])), to);
                }
            }
            return;
        }
        let corners = self.corners(column);
        let [rows, columns] = self.sizes.kernel;
        for at in 0..rows * columns {
            let sources = self.sources(&corners, at / columns, at % columns);
            // The rows of the panel that belong to this place of the kernel, one for each channel.
            let skip = (at + rows * columns - depth.start % (rows * columns)) % (rows * columns);
            let channels = (depth.start + skip) / (rows * columns)..;
            for (to, channel) in to.chunks_exact_mut(width).skip(skip).step_by(rows * columns).zip(channels) {
                let plane = &self.x[channel * pixels..(channel + 1) * pixels];
                for (to, &source) in to.iter_mut().zip(&sources) {
                    *to = plane.get(source).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

impl Patches<'_> {
    /// For the output pixels of a panel from `column` on, the row and the column of the padded image that their patches
    /// begin at; beyond every image for those behind the last one.
    #[inline(always)]
    fn corners(&self, column: usize) -> [[usize; 2]; MOST_COLUMNS] {
        let mut corners = [[usize::MAX / 2; 2]; MOST_COLUMNS];
        let outputs = self.sizes.output()[0] * self.width;
        for (corner, pixel) in corners.iter_mut().zip(column..outputs) {
            *corner = [pixel / self.width * self.sizes.stride, pixel % self.width * self.sizes.stride];
        }
        corners
    }

    /// The pixel of a plane that the weight at `(i, j)` meets, for each of the corners; beyond every plane where it
    /// meets a zero.
    #[inline(always)]
    fn sources(&self, corners: &[[usize; 2]; MOST_COLUMNS], i: usize, j: usize) -> [usize; MOST_COLUMNS] {
        let [height, width] = self.sizes.image;
        let [top, _, left, _] = self.sizes.padding;
        corners.map(|[row, column]| {
            let (row, column) = ((row + i).wrapping_sub(top), (column + j).wrapping_sub(left));
            if row < height && column < width { row * width + column } else { usize::MAX }
        })
    }
}
