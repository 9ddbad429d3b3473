//! A heap whose order among equals is Pillow's, on which the palette depends.
//!
//! Source: Pillow `QuantHeap.c`. The standard library's heap has another order.

/// Items by size, the largest first.
#[derive(Default)]
pub(super) struct Heap {
    /// Size and item. The one at `k` is no smaller than those at `2k + 1` and `2k + 2`.
    items: Vec<(usize, usize)>,
}

impl Heap {
    pub(super) fn push(&mut self, size: usize, item: usize) {
        let mut at = self.items.len();
        self.items.push((size, item));
        while at > 0 && size > self.items[(at - 1) / 2].0 {
            self.items[at] = self.items[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        self.items[at] = (size, item);
    }

    /// The largest item.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let last = self.items.pop()?;
        let Some(first) = self.items.first().copied() else { return Some(last.1) };
        let mut at = 0;
        while 2 * at + 1 < self.items.len() {
            let mut below = 2 * at + 1;
            if below + 1 < self.items.len() && self.items[below].0 < self.items[below + 1].0 {
                below += 1;
            }
            if last.0 > self.items[below].0 {
                break;
            }
            self.items[at] = self.items[below];
            at = below;
        }
        self.items[at] = last;
        Some(first.1)
    }
}
