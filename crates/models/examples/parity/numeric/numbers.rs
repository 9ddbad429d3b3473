//! Numbers out of the names of files and tensors.

/// The numbers in a name, in order: `area_64x96_at_x32` holds 64, 96 and 32, `combine_0.9_-0.1` 0.9 and -0.1.
pub fn numbers(name: &str) -> Vec<f64> {
    let digits = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
    name.split(|c| !digits(c)).map(|part| part.trim_matches('.')).filter_map(|part| part.parse().ok()).collect()
}
