//! The table that gives a token its vector, read row by row: it may have gigabytes.

use std::collections::HashMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use kiln_memory::Weight;

use super::token::Token;
use crate::{error::ModelError, weights::WeightBuilder};

/// A vector per id of a vocabulary.
#[derive(Debug)]
pub struct TokenTable {
    weight: Weight,
    rows: usize,
    width: usize,
    /// The id that fills places left by vectors of another width.
    pad: u32,
}

impl TokenTable {
    /// Takes `key` `[rows, width]` from the builder.
    pub(crate) fn new(
        wb: &WeightBuilder<'_>,
        key: &str,
        [rows, width]: [usize; 2],
        pad: u32,
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: wb.get(key, &[rows, width])?, rows, width, pad })
    }

    /// The row without vectors of another width. Each is made up for by one pad at the end, so that lengths stay equal.
    pub fn fitting(&self, row: &[Token]) -> Vec<Token> {
        let fits = |token: &&Token| !matches!(token, Token::Vector(vector) if vector.len() != self.width);
        let mut fitting: Vec<Token> = row.iter().filter(fits).cloned().collect();
        let left_out = row.len() - fitting.len();
        if left_out > 0 {
            let width = self.width;
            tracing::warn!(
                left_out,
                width,
                "an embedding is for an encoder of another width; its vectors are left out"
            );
            fitting.resize(row.len(), Token::Id(self.pad));
        }
        fitting
    }

    /// The vectors of tokens, `[tokens, width]`; those that [`fitting`](Self::fitting) leaves. Only the rows that are used
    /// are read.
    ///
    /// # Errors
    /// `ModelError::Input` when there are no tokens, an id is outside of the table or a vector has another width; when rows
    /// can't be had.
    pub fn look_up(&self, tokens: &[Token], device: &Device) -> Result<Tensor<2>, ModelError> {
        let (mut table, mut places, mut indices) = (Vec::new(), HashMap::new(), Vec::new());
        for token in tokens {
            let index = match token {
                Token::Id(id) => {
                    if !places.contains_key(id) {
                        places.insert(*id, table.len());
                        table.push(self.row(*id, device)?);
                    }
                    places[id]
                }
                Token::Vector(vector) if vector.len() == self.width => {
                    table.push(Tensor::from_data(TensorData::new(vector.to_vec(), [1, self.width]), device));
                    table.len() - 1
                }
                Token::Vector(vector) => {
                    return Err(input(format!("vectors of {} values", self.width), vec![vector.len()]));
                }
            };
            indices.push(index as i64);
        }
        if table.is_empty() {
            return Err(input("at least one".to_owned(), vec![0]));
        }
        let count = indices.len();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [count]), device);
        Ok(Tensor::cat(table, 0).select(0, indices))
    }

    fn row(&self, id: u32, device: &Device) -> Result<Tensor<2>, ModelError> {
        let id = id as usize;
        if id >= self.rows {
            return Err(input(format!("ids below {}", self.rows), vec![id]));
        }
        Ok(self.weight.acquire_rows::<2>(id..id + 1, device)?.tensor())
    }
}

fn input(expected: String, found: Vec<usize>) -> ModelError {
    ModelError::Input { network: "text encoder", what: "tokens", expected, found }
}
