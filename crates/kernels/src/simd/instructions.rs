//! Lane-wise methods that are one instruction of a set.

/// Writes methods of `Simd` that are one instruction each, within an `impl` whose comment says why
/// its instructions may be called.
macro_rules! instructions {
    ($vector:ty: $($name:ident($($value:ident),+) = $instruction:ident;)*) => { $(
        #[inline(always)]
        fn $name(self, $($value: $vector),+) -> $vector {
            // SAFETY: as said above the impl.
            unsafe { $instruction($($value),+) }
        }
    )* };
}
pub(super) use instructions;
