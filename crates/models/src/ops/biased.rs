//! Attention whose scores get something added: positions by distance, places that nobody may look at.

use burn::tensor::{Tensor, TensorData};

use super::{attention::softmax, check::Check, error::OpError, linear::linear2};

/// Added to the score of a key that may not be looked at: what is left of its weight is 0, unless all keys have it.
pub const HIDDEN: f32 = f32::MIN;

/// `softmax(scale · q · kᵀ + bias) · v` for each head, where `bias(head)` is `[tokens, keys]`, row by row.
///
/// Scores stand in memory for one head at a time.
///
/// # Shapes
/// `q` `[batch, tokens, heads · d]`, `k` and `v` `[batch, keys, heads · d]`; returns the shape of `q`.
/// # Errors
/// [`OpError`] when shapes or element types do not fit together, `heads` does not divide the last axis, or a bias has
/// another number of values.
pub fn biased_attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    scale: f32,
    bias: impl Fn(usize) -> Vec<f32>,
) -> Result<Tensor<3>, OpError> {
    let check = Check("biased_attention");
    check.filled("q", &q)?;
    let ([batch, tokens, width], [_, keys, _]) = (q.dims(), k.dims());
    check.shape("k", &k, [batch, keys, width])?;
    check.shape("v", &v, [batch, keys, width])?;
    check.filled("k", &k)?;
    check.alike("k", &k, &q)?;
    check.alike("v", &v, &q)?;
    check.divides("heads", heads, width)?;
    let (d, device) = (width / heads, q.device());
    let mut columns = Vec::with_capacity(heads);
    for head in 0..heads {
        let bias = bias(head);
        if bias.len() != tokens * keys {
            return Err(check.argument("bias", format!("{} values", tokens * keys), bias.len()));
        }
        let bias = Tensor::<2>::from_data(TensorData::new(bias, [tokens, keys]), &device).cast(q.dtype());
        let part = |x: &Tensor<3>, item: usize, rows: usize| {
            x.clone().slice([item..item + 1, 0..rows, head * d..(head + 1) * d]).reshape([rows, d])
        };
        let item = |item: usize| {
            let (q, k, v) = (part(&q, item, tokens), part(&k, item, keys), part(&v, item, keys));
            let scores = linear2(q, k, None)? * scale + bias.clone();
            Ok(linear2(softmax(scores)?, v.transpose(), None)?.reshape([1, tokens, d]))
        };
        columns.push(Tensor::cat((0..batch).map(item).collect::<Result<Vec<_>, OpError>>()?, 0));
    }
    Ok(Tensor::cat(columns, 2))
}
