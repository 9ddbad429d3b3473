//! Images resized in every way that KJNodes has: stretched, in proportion, with a border, cut.

use kiln_exec::{Cx, Execute, Node, NodeError, Registry, UniqueId};
use kiln_models::image::{Crop, Method, Planes, common_upscale};
use kiln_nodes::payload::{Image, Mask};

use crate::fill::{Border, Fill, bordered};

pub(super) fn register(registry: &mut Registry) {
    registry.add::<ImageResizeKJv2>();
}

/// The longest side that a size may have.
const MAX_SIDE: usize = 16384;
/// The side of the empty mask that stands for none.
const NO_MASK: usize = 64;

/// Resizes images and their mask.
#[derive(Node)]
#[node(
    display_name = "Resize Image v2",
    category = "KJNodes/image",
    module = "custom_nodes.comfyui-kjnodes",
    outputs(IMAGE, width, height, mask)
)]
struct ImageResizeKJv2 {
    /// The images.
    image: Image,
    /// New width in pixels; 0 keeps it, or follows the height in proportion.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 1)]
    width: usize,
    /// New height in pixels; 0 keeps it, or follows the width in proportion.
    #[input(default = 512, min = 0, max = MAX_SIDE, step = 1)]
    height: usize,
    /// How pixels in between are computed.
    #[input(combo = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos", "nvidia_rtx_vsr"])]
    upscale_method: String,
    /// What happens when the sides have another ratio than the image.
    #[input(
        combo = ["stretch", "resize", "pad", "pad_edge", "pad_edge_pixel", "crop", "pillarbox_blur", "total_pixels"],
        option("default" = false)
    )]
    keep_proportion: String,
    /// The colour of a border: one or three whole numbers from 0 to 255, with commas.
    #[input(default = "0, 0, 0")]
    pad_color: String,
    /// Which part is kept, or where the image lies in its border.
    #[input(combo = ["center", "top", "bottom", "left", "right"], default = "center")]
    crop_position: String,
    /// What both sides shall be multiples of.
    #[input(default = 2, min = 0, max = 512, step = 1)]
    divisible_by: usize,
    /// A mask that is resized like the images.
    mask: Option<Mask>,
    /// Where it is computed.
    #[input(combo = ["cpu", "gpu"])]
    device: Option<String>,
    #[allow(dead_code, reason = "declared by the class, for the size that the editor shows")]
    unique_id: UniqueId,
}

/// The size that the image itself gets, and what is put around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    width: usize,
    height: usize,
    border: Border,
}

impl Execute for ImageResizeKJv2 {
    type Output = (Image, usize, usize, Mask);

    fn execute(self, cx: &mut Cx) -> Result<(Image, usize, usize, Mask), NodeError> {
        let method = self.method()?;
        let [_, rows, columns, channels] = self.image.dims();
        if rows == 0 || columns == 0 || self.image.dims()[0] == 0 {
            return Err(NodeError::new(format!("`image` has no pixels: {:?}", self.image.dims())));
        }
        let plan = self.plan([rows, columns])?;
        let window = (self.keep_proportion == "crop").then(|| self.window([rows, columns], plan));
        let device = self.image.pixels().device();
        let planes = Planes::from_tensor(&self.image.planes())?;
        let image = resized(&planes, window, plan, method, "image")?;
        let mask = self.mask.as_ref().map(|mask| {
            let planes = Planes::from_tensor(&mask.planes())?;
            let resized = resized(&planes, window, plan, method, "mask")?;
            Ok::<Mask, NodeError>(Mask::from_planes(resized.to_tensor(&device)))
        });
        cx.checkpoint()?;
        let (mut image, mut mask) = (Image::from_planes(image.to_tensor(&device)), mask.transpose()?);
        if !plan.border.is_empty() {
            let (padded, around) = bordered(&image, mask.as_ref(), plan.border, &self.fill(channels)?)?;
            (image, mask) = (padded, Some(around));
        }
        let [_, height, width, _] = image.dims();
        let empty = || Mask::from_values(vec![0.0; NO_MASK * NO_MASK], [1, NO_MASK, NO_MASK], &device);
        Ok((image, width, height, mask.map_or_else(empty, Ok)?))
    }
}

impl ImageResizeKJv2 {
    fn method(&self) -> Result<Method, NodeError> {
        match (self.upscale_method.as_str(), self.device.as_deref()) {
            ("nvidia_rtx_vsr", _) => Err(NodeError::new(
                "`upscale_method` nvidia_rtx_vsr needs NVIDIA's video effects; choose another method",
            )),
            ("lanczos", Some("gpu")) => Err(NodeError::new("lanczos works on the CPU only; set `device` to cpu")),
            (name, _) => Ok(name.parse()?),
        }
    }

    fn has_border(&self) -> bool {
        self.keep_proportion.starts_with("pad") || self.keep_proportion == "pillarbox_blur"
    }

    fn plan(&self, [rows, columns]: [usize; 2]) -> Result<Plan, NodeError> {
        let (width, height) = match self.keep_proportion.as_str() {
            "stretch" | "crop" => (or(self.width, columns), or(self.height, rows)),
            "total_pixels" => self.of_area([rows, columns]),
            _ => self.in_proportion([rows, columns]),
        };
        let step = self.divisible_by.max(1);
        let mut border = if self.has_border() { self.border(width, height) } else { Border::default() };
        let (width, height) = (width - width % step, height - height % step);
        if width == 0 || height == 0 {
            return Err(NodeError::new(format!(
                "the images would be {width}x{height} pixels; raise `width` and `height`, or lower `divisible_by`"
            )));
        }
        if !border.is_empty() {
            let missing = |n: usize| (step - n % step) % step;
            border.right += missing(width + border.left + border.right);
            border.bottom += missing(height + border.top + border.bottom);
        }
        Ok(Plan { width, height, border })
    }

    /// As many pixels as width and height have, in the image's proportion.
    fn of_area(&self, [rows, columns]: [usize; 2]) -> (usize, usize) {
        let (area, ratio) = ((self.width * self.height) as f64, columns as f64 / rows as f64);
        ((area * ratio).sqrt() as usize, (area / ratio).sqrt() as usize)
    }

    fn in_proportion(&self, [rows, columns]: [usize; 2]) -> (usize, usize) {
        let scaled = |n: usize, ratio: f64| (n as f64 * ratio).round_ties_even() as usize;
        let (by_width, by_height) = (self.width as f64 / columns as f64, self.height as f64 / rows as f64);
        match (self.width, self.height) {
            (0, 0) => (columns, rows),
            (0, height) => (scaled(columns, by_height), height),
            (width, 0) => (width, scaled(rows, by_width)),
            _ => (scaled(columns, by_width.min(by_height)), scaled(rows, by_width.min(by_height))),
        }
    }

    /// What is missing around an image of this size. A side that follows the other has nothing around it.
    fn border(&self, width: usize, height: usize) -> Border {
        let (across, down) = (self.width.saturating_sub(width), self.height.saturating_sub(height));
        let (left, top) = match self.crop_position.as_str() {
            "top" => (across / 2, 0),
            "bottom" => (across / 2, down),
            "left" => (0, down / 2),
            "right" => (across, down / 2),
            _ => (across / 2, down / 2),
        };
        Border { left, right: across - left, top, bottom: down - top }
    }

    /// The part that has the new sides' ratio: x, y, width, height.
    fn window(&self, [rows, columns]: [usize; 2], plan: Plan) -> [usize; 4] {
        let (old, new) = (columns as f64 / rows as f64, plan.width as f64 / plan.height as f64);
        let (width, height) = if old > new {
            ((rows as f64 * new).round_ties_even() as usize, rows)
        } else {
            (columns, (columns as f64 / new).round_ties_even() as usize)
        };
        let (across, down) = (columns.saturating_sub(width), rows.saturating_sub(height));
        let (x, y) = match self.crop_position.as_str() {
            "top" => (across / 2, 0),
            "bottom" => (across / 2, down),
            "left" => (0, down / 2),
            "right" => (across, down / 2),
            _ => (across / 2, down / 2),
        };
        [x, y, width, height]
    }

    fn fill(&self, channels: usize) -> Result<Fill, NodeError> {
        Ok(match self.keep_proportion.as_str() {
            "pad_edge" => Fill::Edge,
            "pad_edge_pixel" => Fill::EdgePixel,
            "pillarbox_blur" => Fill::Blur,
            _ => Fill::Colour(colour(&self.pad_color, channels)?),
        })
    }
}

fn or(given: usize, own: usize) -> usize {
    if given == 0 { own } else { given }
}

/// One number for all channels, or one for each.
fn colour(text: &str, channels: usize) -> Result<Vec<f32>, NodeError> {
    let number = |part: &str| part.trim().parse::<i64>().map(|n| (n as f64 / 255.0) as f32);
    let numbers: Result<Vec<f32>, _> = text.split(',').map(number).collect();
    match numbers {
        Ok(one) if one.len() == 1 => Ok(vec![one[0]; channels]),
        Ok(numbers) => Ok(numbers),
        Err(_) => Err(NodeError::new(format!("`pad_color` is `{text}`; write 128, or 255, 128, 0"))),
    }
}

/// Planes of the planned size, out of a part of them.
fn resized(
    planes: &Planes,
    window: Option<[usize; 4]>,
    plan: Plan,
    method: Method,
    what: &str,
) -> Result<Planes, NodeError> {
    let part = window.map(|window| cut(planes, window, what)).transpose()?;
    Ok(common_upscale(part.as_ref().unwrap_or(planes), plan.width, plan.height, method, Crop::Disabled)?)
}

fn cut(planes: &Planes, [x, y, width, height]: [usize; 4], what: &str) -> Result<Planes, NodeError> {
    let [batch, channels, rows, columns] = planes.shape();
    if width == 0 || height == 0 || x + width > columns || y + height > rows {
        return Err(NodeError::new(format!(
            "`{what}` is {columns}x{rows}, and {width}x{height} pixels at {x}, {y} cannot be cut out of it"
        )));
    }
    let plane = |values: &[f32]| -> Vec<f32> {
        (y..y + height).flat_map(|row| values[row * columns + x..][..width].iter().copied()).collect()
    };
    let values = planes.values().chunks_exact(rows * columns).flat_map(plane).collect();
    Ok(Planes::new([batch, channels, height, width], values)?)
}
