//! Names and shapes of a set of tensors, in file order: all that detection may look at.
//!
//! Knows neither files nor data: a list typed by hand serves as well as a checkpoint's header.

use super::source::TensorSource;
use indexmap::IndexMap;

/// Tensor names with their shapes, in the order they were listed.
///
/// ```
/// use kiln_memory::TensorShapes;
/// let names: TensorShapes = [("a.0.weight", vec![2, 3]), ("a.1.weight", vec![4])].into_iter().collect();
/// assert_eq!(names.count("a."), 2);
/// assert_eq!(names.shape("a.0.weight"), Some(&[2, 3][..]));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TensorShapes {
    shapes: IndexMap<String, Vec<usize>>,
}

impl TensorShapes {
    /// Names and shapes of a source, in its order.
    pub fn of(source: &dyn TensorSource) -> Self {
        let shape = |name: &str| source.info(name).map(|info| info.shape.clone()).unwrap_or_default();
        source.names().into_iter().map(|name| (name, shape(name))).collect()
    }

    /// Adds a tensor; a name that is there already takes the new shape.
    pub fn insert(&mut self, name: impl Into<String>, shape: impl Into<Vec<usize>>) {
        self.shapes.insert(name.into(), shape.into());
    }

    /// How many tensors are listed.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Whether a tensor of exactly this name is listed.
    pub fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.shapes.get(name).map(Vec::as_slice)
    }

    /// One side of a tensor's shape; `None` when the tensor or that axis isn't there.
    pub fn side(&self, name: &str, axis: usize) -> Option<usize> {
        self.shape(name)?.get(axis).copied()
    }

    /// Names and shapes in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// How many names start with `prefix`.
    pub fn starting_with(&self, prefix: &str) -> usize {
        self.shapes.keys().filter(|name| name.starts_with(prefix)).count()
    }

    /// Whether some name starts with `prefix`.
    pub fn any(&self, prefix: &str) -> bool {
        self.shapes.keys().any(|name| name.starts_with(prefix))
    }

    /// How many of `prefix0.`, `prefix1.`, ... follow each other without a gap.
    pub fn count(&self, prefix: &str) -> usize {
        let mut present = Vec::new();
        for name in self.shapes.keys() {
            let Some((index, _)) = name.strip_prefix(prefix).and_then(|rest| rest.split_once('.')) else { continue };
            let Ok(index) = index.parse::<usize>() else { continue };
            // A number beyond the number of tensors can't be part of a run that starts at 0.
            if index >= self.shapes.len() {
                continue;
            }
            if present.len() <= index {
                present.resize(index + 1, false);
            }
            present[index] = true;
        }
        present.iter().take_while(|there| **there).count()
    }

    /// The tensors below `prefix`, named without it.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        self.iter().filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, shape))).collect()
    }
}

impl<N: Into<String>, S: Into<Vec<usize>>> FromIterator<(N, S)> for TensorShapes {
    fn from_iter<I: IntoIterator<Item = (N, S)>>(tensors: I) -> Self {
        Self { shapes: tensors.into_iter().map(|(name, shape)| (name.into(), shape.into())).collect() }
    }
}
