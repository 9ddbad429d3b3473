//! Names of classes as an open-vocabulary detector wants them: one direction for each text, without prompt syntax.

use burn::tensor::{Device, Tensor};

use crate::error::ModelError;
use crate::nets::clip::{Hidden, TextModel, Token};
use crate::tokenizer::Vocabulary;

/// Names that are encoded at once.
const AT_ONCE: usize = 32;
/// Tokens behind the end of a text: nothing that is read depends on them.
const PAD: u32 = 0;

/// The tokens of class names, each from start to end, and which of them were cut to what the encoder can read.
///
/// # Errors
/// `ModelError::Text` when the vocabulary fails.
pub fn class_tokens(
    names: &[String],
    vocabulary: &Vocabulary,
    longest: usize,
) -> Result<(Vec<Vec<u32>>, Vec<usize>), ModelError> {
    let mut cut = Vec::new();
    let mut rows = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let mut row = vec![Token::START];
        row.extend(vocabulary.encode(name).map_err(|error| ModelError::Text(error.into()))?);
        if row.len() + 1 > longest {
            row.truncate(longest.saturating_sub(1));
            cut.push(i);
        }
        row.push(Token::END);
        rows.push(row);
    }
    Ok((rows, cut))
}

/// The feature of each class, one long.
///
/// # Shapes
/// `rows` as [`class_tokens`] gives them; returns `[classes, projection]`.
/// # Errors
/// `ModelError::Input` when there is no class, `ModelError::Unrecognised` when the encoder has no
/// projection, or when weights can't be had.
pub fn class_features(model: &TextModel, rows: &[Vec<u32>], device: &Device) -> Result<Tensor<2>, ModelError> {
    let mut features = Vec::new();
    for rows in rows.chunks(AT_ONCE) {
        // Rows end with the longest text: attention looks back only, so what comes behind an end reaches nobody.
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let padded = |row: &Vec<u32>| {
            let ids = row.iter().copied().chain(std::iter::repeat(PAD)).take(longest);
            ids.map(Token::Id).collect::<Vec<_>>()
        };
        let chunk: Vec<Vec<Token>> = rows.iter().map(padded).collect();
        let projected = model.forward(&chunk, Hidden::LAST, device)?.projected;
        features.push(projected.ok_or_else(|| ModelError::Unrecognised {
            what: "a text encoder for a detector".into(),
            detail: "`text_projection.weight` is missing".into(),
        })?);
    }
    if features.is_empty() {
        let expected = "at least one class".to_owned();
        return Err(ModelError::Input { network: "text encoder", what: "classes", expected, found: vec![0] });
    }
    let features = Tensor::cat(features, 0);
    Ok(features.clone() / features.square().sum_dim(1).sqrt())
}
