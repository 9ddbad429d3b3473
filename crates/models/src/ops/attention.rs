//! Scaled dot-product attention over heads that lie side by side in the last axis, and softmax.

use burn::tensor::{Tensor, activation, module, ops::AttentionModuleOptions};
use kiln_kernels::{Attention, Isa, Strided};

use super::{
    check::Check,
    error::OpError,
    flat::{self, Flat},
};

/// Which keys a query may attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mask {
    /// All of them.
    #[default]
    None,
    /// Query `i` sees keys `0..=i`. There are as many keys as queries.
    Causal,
}

/// `softmax(q · kᵀ / sqrt(d)) · v` for each head.
///
/// # Shapes
/// `q` `[batch, tokens, heads · d]`, `k` and `v` `[batch, keys, heads · d]`; returns the shape of `q`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together, `heads` does not divide the last axis, or the mask is
/// causal and there are not as many keys as queries.
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize, mask: Mask) -> Result<Tensor<3>, OpError> {
    let check = Check("attention");
    check.filled("q", &q)?;
    let [batch, tokens, width] = q.dims();
    let keys = if mask == Mask::Causal { tokens } else { k.dims()[1] };
    check.shape("k", &k, [batch, keys, width])?;
    check.shape("v", &v, [batch, keys, width])?;
    check.filled("k", &k)?;
    check.alike("k", &k, &q)?;
    check.alike("v", &v, &q)?;
    check.divides("heads", heads, width)?;
    let causal = mask == Mask::Causal;
    let sizes = Attention { batch, heads, width: width / heads, queries: tokens, keys: k.dims()[1], causal };
    let q = match Flat::take(q) {
        Ok(q) => q,
        Err(q) => return Ok(stock(q, k, v, heads, mask)),
    };
    let (k, v) = (Flat::argument(check.0, k)?, Flat::argument(check.0, v)?);
    let rows = |x, rows| Strided::dense(x, rows, width);
    let (k, v) = (rows(k.as_slice(), sizes.keys), rows(v.as_slice(), sizes.keys));
    let mut out = vec![0.0; q.as_slice().len()];
    kiln_kernels::attention(Isa::best(), sizes, rows(q.as_slice(), tokens), k, v, &mut out)?;
    Ok(flat::tensor(out, [batch, tokens, width]))
}

pub(super) fn stock(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize, mask: Mask) -> Tensor<3> {
    let shape = q.dims();
    let split = |x: Tensor<3>| {
        let [batch, tokens, width] = x.dims();
        x.reshape([batch, tokens, heads, width / heads]).swap_dims(1, 2)
    };
    let options = AttentionModuleOptions { is_causal: mask == Mask::Causal, ..Default::default() };
    module::attention(split(q), split(k), split(v), None, None, options).swap_dims(1, 2).reshape(shape)
}

/// `exp(x) / Σ exp(x)` along the last axis.
///
/// # Errors
/// [`OpError`] when an axis is empty.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Result<Tensor<D>, OpError> {
    Check("softmax").filled("x", &x)?;
    let width = x.dims()[D - 1];
    match Flat::take(x) {
        Ok(x) => {
            let mut done = Ok(());
            let y = x.change(|x| done = kiln_kernels::softmax(Isa::best(), x, width));
            done?;
            Ok(y)
        }
        Err(x) => Ok(activation::softmax(x, D - 1)),
    }
}
