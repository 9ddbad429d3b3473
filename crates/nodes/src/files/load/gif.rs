//! GIF: every frame as the image that is seen then, with the colours of what is transparent.
//!
//! Rules for what is seen and what counts as opacity: those of PIL (`GifImagePlugin`), which ComfyUI reads with.

use std::io::Cursor;

use gif::{ColorOutput, DecodeOptions, Decoder, DisposalMethod, MemoryLimit};

use super::frame::{Frame, MAX_FRAME_BYTES, Read, check_room};

/// Reads a GIF.
///
/// # Errors
/// What the decoder says of a file without a single whole frame.
pub(super) fn read(bytes: &[u8]) -> Result<Read, String> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(
        std::num::NonZeroU64::new(MAX_FRAME_BYTES).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes),
    );
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let (mut frames, mut canvas, mut damage) = (Vec::new(), None::<Canvas>, None);
    loop {
        let part = match Part::next(&mut decoder) {
            Ok(None) => break,
            Ok(Some(part)) => part,
            Err(error) => {
                damage = Some(error);
                break;
            }
        };
        let canvas = match &mut canvas {
            Some(canvas) => {
                canvas.draw(&part);
                canvas
            }
            None => canvas.insert(Canvas::new(&decoder, &part)),
        };
        check_room(frames.len() + 1, canvas.width, canvas.height)?;
        let frame = Frame::of_rgba(canvas.width, canvas.height, &canvas.pixels, canvas.has_alpha || part.is_key());
        frames.push(if canvas.has_alpha { frame } else { frame.keyed() });
        damage = part.damage;
        if damage.is_some() {
            break;
        }
    }
    match damage {
        Some(damage) if frames.is_empty() => Err(damage),
        damage => Ok(Read { frames, damage }),
    }
}

/// A frame as the file has it: a rectangle of indices into a palette.
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    indices: Vec<u8>,
    palette: Vec<[u8; 3]>,
    /// Whether the palette is more than the shades of grey in their order, which PIL doesn't count as one.
    is_coloured: bool,
    transparent: Option<u8>,
    dispose: DisposalMethod,
    background: u8,
    /// Why its last rows are missing.
    damage: Option<String>,
}

impl Part {
    /// The next frame; a damaged one has its first colour where it ends.
    fn next(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Option<Self>, String> {
        let Some(frame) = decoder.next_frame_info().map_err(|error| error.to_string())? else { return Ok(None) };
        let [left, top, width, height] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        let (transparent, dispose, own) = (frame.transparent, frame.dispose, frame.palette.clone());
        let mut indices = vec![0; decoder.buffer_size()];
        let damage = decoder.read_into_buffer(&mut indices).err().map(|error| error.to_string());
        let colours = own.or_else(|| decoder.global_palette().map(<[u8]>::to_vec)).unwrap_or_default();
        let mut palette: Vec<[u8; 3]> = colours.as_chunks::<3>().0.to_vec();
        let is_grey = |(i, [r, g, b]): (usize, &[u8; 3])| [r, g, b].into_iter().all(|shade| usize::from(*shade) == i);
        let is_coloured = !palette.iter().enumerate().all(is_grey);
        if !is_coloured {
            palette = (0..=u8::MAX).map(|shade| [shade; 3]).collect();
        }
        let background = decoder.bg_color().and_then(|index| u8::try_from(index).ok()).unwrap_or(0);
        Ok(Some(Self {
            left,
            top,
            width,
            height,
            indices,
            palette,
            is_coloured,
            transparent,
            dispose,
            background,
            damage,
        }))
    }

    /// A colour of the palette, with no opacity if it is the transparent one.
    fn colour(&self, index: u8) -> [u8; 4] {
        let [r, g, b] = self.palette.get(usize::from(index)).copied().unwrap_or_default();
        [r, g, b, if self.transparent == Some(index) { 0 } else { u8::MAX }]
    }

    /// Whether it has a transparent shade of grey, which doesn't count as opacity.
    fn is_key(&self) -> bool {
        self.transparent.is_some() && !self.is_coloured
    }

    /// What stands where nothing is drawn.
    fn empty(&self, otherwise: u8) -> [u8; 4] {
        self.colour(self.transparent.unwrap_or(otherwise))
    }
}

/// What is seen.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 4]>,
    has_alpha: bool,
    /// What takes the last frame's place before the next one is drawn: its rectangle, and the pixels.
    undo: Option<([usize; 4], Vec<[u8; 4]>)>,
}

impl Canvas {
    /// The canvas with the first frame on it.
    fn new(decoder: &Decoder<Cursor<&[u8]>>, part: &Part) -> Self {
        let width = usize::from(decoder.width()).max(part.left + part.width);
        let height = usize::from(decoder.height()).max(part.top + part.height);
        let has_alpha = part.transparent.is_some() && part.is_coloured;
        let pixels = vec![part.empty(0); width * height];
        let mut canvas = Self { width, height, pixels, has_alpha, undo: None };
        if part.dispose != DisposalMethod::Previous || part.transparent.is_some() {
            canvas.keep(part);
        }
        canvas.put(part, |part, index| Some(part.colour(index)));
        canvas
    }

    /// Draws another frame over what the one before left.
    fn draw(&mut self, part: &Part) {
        if let Some((place, pixels)) = self.undo.take() {
            self.each(place, |pixel, at| *pixel = pixels.get(at).copied().unwrap_or(*pixel));
        }
        self.keep(part);
        self.put(part, |part, index| (part.transparent != Some(index)).then(|| part.colour(index)));
    }

    /// Notes what is to take a frame's place, before it is drawn.
    fn keep(&mut self, part: &Part) {
        let place = [part.left, part.top, part.width, part.height];
        let mut pixels = vec![part.empty(part.background); part.width * part.height];
        match part.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => return,
            DisposalMethod::Background => {}
            DisposalMethod::Previous => self.each(place, |pixel, at| pixels[at] = *pixel),
        }
        self.undo = Some((place, pixels));
    }

    fn put(&mut self, part: &Part, colour: impl Fn(&Part, u8) -> Option<[u8; 4]>) {
        self.each([part.left, part.top, part.width, part.height], |pixel, at| {
            if let Some(colour) = part.indices.get(at).and_then(|index| colour(part, *index)) {
                *pixel = colour;
            }
        });
    }

    /// Calls for each pixel of a rectangle with its place in it, row by row.
    fn each(&mut self, [left, top, width, height]: [usize; 4], mut call: impl FnMut(&mut [u8; 4], usize)) {
        for row in 0..height {
            for column in 0..width {
                let (x, y) = (left + column, top + row);
                if x < self.width && y < self.height {
                    call(&mut self.pixels[y * self.width + x], row * width + column);
                }
            }
        }
    }
}
