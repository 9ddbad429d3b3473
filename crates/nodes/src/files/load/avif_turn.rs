//! How an AVIF's boxes say that its image is turned: `irot` and `imir`, as an orientation of EXIF's. Knows no pixels.

/// 1 to 8 as EXIF counts; `None` where nothing is said.
pub(super) fn orientation(file: &[u8]) -> Option<u8> {
    let meta = inside(file, *b"meta")?.get(4..)?;
    let properties = inside(meta, *b"iprp")?;
    let primary = primary_item(inside(meta, *b"pitm")?)?;
    let wanted = properties_of(inside(properties, *b"ipma")?, primary)?;
    let all: Vec<_> = Boxes(inside(properties, *b"ipco")?).collect();
    let found = |name: &[u8; 4]| {
        let mut of_item = wanted.iter().filter_map(|index| all.get(index.checked_sub(1)?));
        of_item.find(|(found, _)| found == name).and_then(|(_, data)| data.first())
    };
    // Quarter turns against the clock; 1 mirrors left and right, 0 top and bottom.
    match (found(b"irot").map_or(0, |turns| turns & 3), found(b"imir").map(|axis| axis & 1)) {
        (0, None) => None,
        (0, Some(1)) | (2, Some(0)) => Some(2),
        (0 | 2, Some(_)) => Some(4),
        (1, None) => Some(8),
        (2, None) => Some(3),
        (_, None) => Some(6),
        (1, Some(1)) | (3, Some(0)) => Some(7),
        (_, Some(_)) => Some(5),
    }
}

/// Boxes of a level: name and contents.
struct Boxes<'b>(&'b [u8]);

impl<'b> Iterator for Boxes<'b> {
    type Item = ([u8; 4], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        let [a, b, c, d, name @ ..] = *head;
        let size = match u32::from_be_bytes([a, b, c, d]) as usize {
            0 => self.0.len(),
            size => size,
        };
        let length = size.checked_sub(8)?;
        self.0 = rest.get(length..).unwrap_or_default();
        Some((name, &rest[..length.min(rest.len())]))
    }
}

fn inside(bytes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    Boxes(bytes).find(|(found, _)| *found == name).map(|(_, data)| data)
}

/// Reads a big-endian number of so many bytes.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    Some(bytes.get(at..at.checked_add(length)?)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

fn primary_item(pitm: &[u8]) -> Option<usize> {
    number(pitm, 4, if pitm.first()? == &0 { 2 } else { 4 })
}

/// The numbers, from 1, of an item's properties.
fn properties_of(ipma: &[u8], item: usize) -> Option<Vec<usize>> {
    let (id_length, wide) = (if ipma.first()? == &0 { 2 } else { 4 }, ipma.get(3)? & 1 == 1);
    let (length, mask) = if wide { (2, 0x7fff) } else { (1, 0x7f) };
    let mut at = 8;
    for _ in 0..number(ipma, 4, 4)? {
        let (id, count) = (number(ipma, at, id_length)?, number(ipma, at + id_length, 1)?);
        at += id_length + 1;
        if id == item {
            return (0..count).map(|i| Some(number(ipma, at + i * length, length)? & mask)).collect();
        }
        at += count * length;
    }
    None
}
