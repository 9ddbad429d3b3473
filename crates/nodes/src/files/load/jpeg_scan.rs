//! How many units of pixels of a JPEG's scan are there: its Huffman codes read, and nothing made of them.
//!
//! Only of sequential images of eight bits, all components in one scan, as nearly all are.

/// What the segments before a scan say.
#[derive(Default)]
pub(super) struct Tables {
    codes: [[Option<Codes>; 4]; 2],
    frame: Option<FrameHeader>,
    /// Units between two restarts; 0 for none.
    restart: usize,
    scans: usize,
}

struct FrameHeader {
    width: usize,
    height: usize,
    /// Name, and blocks of a unit across and down.
    components: Vec<(u8, usize, usize)>,
}

/// A scan whose data end early.
pub(super) struct Scan {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pixels of a unit.
    unit: (usize, usize),
    /// Units that are there, with the one in which the data end.
    there: usize,
}

impl Scan {
    /// Calls for each pixel of the units that are not there.
    pub(super) fn each_missing(&self, mut call: impl FnMut(usize, usize)) {
        let across = self.width.div_ceil(self.unit.0);
        for y in self.there / across * self.unit.1..self.height {
            for x in 0..self.width {
                if y / self.unit.1 * across + x / self.unit.0 >= self.there {
                    call(x, y);
                }
            }
        }
    }
}

impl Tables {
    /// Reads a segment of a kind.
    pub(super) fn note(&mut self, kind: u8, segment: &[u8]) {
        match kind {
            0xc0 | 0xc1 => self.frame = FrameHeader::of(segment),
            0xc2..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) => self.frame = None,
            0xc4 => self.note_codes(segment),
            0xdd => self.restart = segment.first_chunk().map_or(0, |pair| u16::from_be_bytes(*pair).into()),
            0xda => self.scans += 1,
            _ => {}
        }
    }

    fn note_codes(&mut self, mut segment: &[u8]) {
        while let Some((head, rest)) = segment.split_first_chunk::<17>() {
            let [place, counts @ ..] = head;
            let total = counts.iter().map(|count| usize::from(*count)).sum::<usize>().min(rest.len());
            if let Some(table) =
                self.codes.get_mut(usize::from(place >> 4)).and_then(|k| k.get_mut(usize::from(place & 15)))
            {
                *table = Some(Codes { counts: *counts, values: rest[..total].to_vec() });
            }
            segment = &rest[total..];
        }
    }

    /// How much of a scan, by its header, its data hold; `None` for kinds that are not counted.
    pub(super) fn scan(&self, header: &[u8], data: &[u8]) -> Option<Scan> {
        let frame = self.frame.as_ref().filter(|_| self.scans == 1)?;
        let count = usize::from(*header.first()?);
        if count != frame.components.len() {
            return None;
        }
        let mut blocks = Vec::new();
        for (chosen, component) in header.get(1..)?.as_chunks::<2>().0.iter().take(count).zip(&frame.components) {
            let [name, tables] = *chosen;
            let code = |kind: usize, place: u8| self.codes[kind].get(usize::from(place))?.as_ref();
            let pair = (code(0, tables >> 4)?, code(1, tables & 15)?);
            if name != component.0 {
                return None;
            }
            // The blocks of an image of one component stand one by one, whatever its header says.
            let per_unit = if count == 1 { 1 } else { component.1 * component.2 };
            blocks.extend(std::iter::repeat_n(pair, per_unit));
        }
        let most = |side: fn(&(u8, usize, usize)) -> usize| {
            if count == 1 { 8 } else { frame.components.iter().map(side).max().unwrap_or(1) * 8 }
        };
        let unit = (most(|component| component.1), most(|component| component.2));
        let units = frame.width.div_ceil(unit.0) * frame.height.div_ceil(unit.1);
        let there = (units_in(data, &blocks, units, self.restart) + 1).min(units);
        Some(Scan { width: frame.width, height: frame.height, unit, there })
    }
}

impl FrameHeader {
    fn of(segment: &[u8]) -> Option<Self> {
        let [8, h1, h0, w1, w0, count] = *segment.first_chunk::<6>()? else { return None };
        let components: Vec<_> = segment[6..].as_chunks::<3>().0.iter().take(usize::from(count)).collect();
        let side = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
        let blocks = |c: &&[u8; 3]| (c[0], usize::from(c[1] >> 4), usize::from(c[1] & 15));
        let components: Vec<_> = components.iter().map(blocks).collect();
        let sane = |(_, across, down): &(u8, usize, usize)| (1..=4).contains(across) && (1..=4).contains(down);
        let whole = components.len() == usize::from(count) && (1..=4).contains(&count) && components.iter().all(sane);
        let (width, height) = (side(w1, w0), side(h1, h0));
        (whole && width > 0 && height > 0).then_some(Self { width, height, components })
    }
}

/// Huffman codes: how many there are of each length from 1, and what they stand for in their order.
struct Codes {
    counts: [u8; 16],
    values: Vec<u8>,
}

/// Whole units in the data.
fn units_in(data: &[u8], blocks: &[(&Codes, &Codes)], most: usize, restart: usize) -> usize {
    let mut bits = Bits { data, at: 0, left: 0, byte: 0 };
    for unit in 0..most {
        if restart > 0 && unit > 0 && unit.is_multiple_of(restart) {
            bits.restart();
        }
        if blocks.iter().any(|(first, rest)| bits.block(first, rest).is_none()) {
            return unit;
        }
    }
    most
}

/// The bits of a scan.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    left: u8,
    byte: u8,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at)?;
            // A zero behind this byte says that it is no mark.
            if self.byte == 0xff && *self.data.get(self.at + 1)? != 0 {
                return None;
            }
            self.at += if self.byte == 0xff { 2 } else { 1 };
            self.left = 8;
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn skip(&mut self, bits: u8) -> Option<()> {
        (0..bits).try_for_each(|_| self.bit().map(drop))
    }

    fn value(&mut self, codes: &Codes) -> Option<u8> {
        let (mut code, mut first, mut index) = (0u32, 0u32, 0usize);
        for count in codes.counts {
            code = code << 1 | self.bit()?;
            let count = u32::from(count);
            if code < first + count {
                return codes.values.get(index + (code - first) as usize).copied();
            }
            index += count as usize;
            first = (first + count) << 1;
        }
        None
    }

    fn block(&mut self, first: &Codes, rest: &Codes) -> Option<()> {
        let size = self.value(first)?;
        self.skip(size.min(16))?;
        let mut place = 1;
        while place < 64 {
            let value = self.value(rest)?;
            let (run, size) = (value >> 4, value & 15);
            match (run, size) {
                (15, 0) => place += 16,
                (_, 0) => break,
                _ => {
                    self.skip(size)?;
                    place += usize::from(run) + 1;
                }
            }
        }
        Some(())
    }

    /// Goes behind the next mark of a restart.
    fn restart(&mut self) {
        self.left = 0;
        if let Some([0xff, 0xd0..=0xd7]) = self.data.get(self.at..self.at + 2) {
            self.at += 2;
        }
    }
}
