//! The colour of a palette that is nearest to another one.
//!
//! Source: Pillow 13 `Palette.c`: colours are looked up with their last two bits left out.

use std::collections::HashMap;

/// A palette with what was looked up in it.
pub(super) struct Nearest {
    palette: Vec<[u8; 3]>,
    known: HashMap<[u8; 3], [u8; 3]>,
}

impl Nearest {
    pub(super) fn new(palette: Vec<[u8; 3]>) -> Self {
        Self { palette, known: HashMap::new() }
    }

    /// How many colours the palette has.
    pub(super) fn colours(&self) -> usize {
        self.palette.len()
    }

    /// The nearest colour; the first of equally near ones.
    pub(super) fn of(&mut self, colour: [u8; 3]) -> [u8; 3] {
        let colour = colour.map(|v| v & !3);
        if let Some(found) = self.known.get(&colour) {
            return *found;
        }
        let found = self.search(colour);
        self.known.insert(colour, found);
        found
    }

    fn search(&self, colour: [u8; 3]) -> [u8; 3] {
        let distance = |other: &&[u8; 3]| (0..3).map(|c| u32::from(colour[c].abs_diff(other[c])).pow(2)).sum::<u32>();
        self.palette.iter().min_by_key(distance).copied().unwrap_or(colour)
    }
}
