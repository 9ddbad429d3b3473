//! LoRA files by names that are nearly theirs, as rgthree finds them: what somebody else called the same file.

/// The file that `wanted` means: the file of that name; else without ending, without folders, without both; else the first
/// whose name holds it.
pub(crate) fn find<'n>(names: &'n [String], wanted: &str) -> Option<&'n str> {
    let first = |fits: &dyn Fn(&str) -> bool| names.iter().map(String::as_str).find(|name| fits(name));
    let (bare, file) = (without_ending(wanted), file_name(wanted));
    first(&|name| name == wanted)
        .or_else(|| first(&|name| without_ending(name) == wanted))
        .or_else(|| first(&|name| without_ending(name) == bare))
        .or_else(|| first(&|name| file_name(name) == wanted))
        .or_else(|| first(&|name| file_name(name) == file))
        .or_else(|| first(&|name| without_ending(file_name(name)) == wanted))
        .or_else(|| first(&|name| without_ending(file_name(name)) == without_ending(file)))
        .or_else(|| first(&|name| name.contains(wanted)))
}

/// The part behind the last slash, of either kind: people share graphs across systems.
fn file_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn without_ending(name: &str) -> &str {
    match name.rfind('.') {
        // As Python's `splitext`: points that a name begins with are no ending.
        Some(at) if !file_name(&name[..at]).trim_start_matches('.').is_empty() => &name[..at],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_is_found_by_names_that_are_nearly_its_own() {
        let names = ["a/style.safetensors", "b/style.pt", "detail v1.2.safetensors", "x/.hidden"].map(str::to_owned);
        for (wanted, right) in [
            ("b/style.pt", Some("b/style.pt")),
            ("b/style", Some("b/style.pt")),
            ("b/style.safetensors", Some("b/style.pt")),
            ("style.pt", Some("b/style.pt")),
            ("other\\style.pt", Some("b/style.pt")),
            ("style", Some("a/style.safetensors")),
            ("z/style.ckpt", Some("a/style.safetensors")),
            ("tail v1", Some("detail v1.2.safetensors")),
            ("detail v1.2", Some("detail v1.2.safetensors")),
            (".hidden", Some("x/.hidden")),
            ("None", None),
        ] {
            assert_eq!(find(&names, wanted), right, "{wanted}");
        }
    }
}
