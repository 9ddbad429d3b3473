//! The known name that looks most like an unknown one.

/// The entry of `names` with the smallest edit distance to `name`, the first on ties.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> &'a str {
    let lower = name.to_lowercase();
    names.into_iter().min_by_key(|known| strsim::damerau_levenshtein(known, &lower)).unwrap_or("")
}
