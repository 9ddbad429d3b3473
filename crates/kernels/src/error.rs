//! What a kernel returns when slices and sizes do not fit. Knows lengths and names only.

/// Why a kernel did not run. Nothing has been written when it is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kernel}: {argument} should be {expected}, found {found}")]
pub struct KernelError {
    kernel: &'static str,
    argument: &'static str,
    expected: String,
    found: String,
}

impl KernelError {
    /// The kernel that refused, as its function is called.
    pub fn kernel(&self) -> &'static str {
        self.kernel
    }

    /// The argument at fault, as the parameter is called.
    pub fn argument(&self) -> &'static str {
        self.argument
    }
}

/// Names the kernel in every error it makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check(pub(crate) &'static str);

impl Check {
    /// `argument` holds `expected` elements.
    pub(crate) fn len(self, argument: &'static str, found: usize, expected: usize) -> Result<(), KernelError> {
        if found == expected {
            return Ok(());
        }
        Err(self.error(argument, format!("{expected} elements"), format!("{found} elements")))
    }

    /// `argument` holds at least `expected` elements.
    pub(crate) fn reach(self, argument: &'static str, found: usize, expected: usize) -> Result<(), KernelError> {
        if found >= expected {
            return Ok(());
        }
        Err(self.error(argument, format!("at least {expected} elements"), format!("{found} elements")))
    }

    /// `value` divides `total` and is not 0.
    pub(crate) fn divides(self, argument: &'static str, value: usize, total: usize) -> Result<(), KernelError> {
        if value != 0 && total.is_multiple_of(value) {
            return Ok(());
        }
        Err(self.error(argument, format!("a divisor of {total}"), value.to_string()))
    }

    /// The product of `factors`, an error where it does not fit into memory's index.
    pub(crate) fn product(self, argument: &'static str, factors: &[usize]) -> Result<usize, KernelError> {
        let product = factors.iter().try_fold(1_usize, |product, &factor| product.checked_mul(factor));
        product.ok_or_else(|| self.error(argument, "a size that fits usize".into(), format!("{factors:?}")))
    }

    /// The error for `argument`.
    pub(crate) fn error(self, argument: &'static str, expected: String, found: String) -> KernelError {
        KernelError { kernel: self.0, argument, expected, found }
    }
}
