//! Features: what a manifest offers stands on the crate's page, or nobody finds it.

use crate::workspace;
use serde_json::Value;

/// Every feature that its crate's page does not name, in words.
pub fn check() -> Vec<String> {
    match workspace::metadata() {
        Ok(metadata) => metadata["packages"].as_array().into_iter().flatten().flat_map(unnamed).collect(),
        Err(error) => vec![format!("features: {error}")],
    }
}

fn unnamed(package: &Value) -> Vec<String> {
    let features = package["features"].as_object().into_iter().flat_map(|features| features.keys());
    let page = page(package);
    let unnamed = features.filter(|name| *name != "default" && !page.contains(&format!("`{name}`")));
    unnamed.map(|name| format!("features: the page of {} does not name `{name}`", package["name"])).collect()
}

/// The documentation at the head of the package's library.
fn page(package: &Value) -> String {
    let targets = package["targets"].as_array().into_iter().flatten();
    let library = targets.filter(|target| target["src_path"].as_str().is_some_and(|path| path.ends_with("src/lib.rs")));
    let texts = library.filter_map(|target| std::fs::read_to_string(target["src_path"].as_str()?).ok());
    texts
        .flat_map(|text| text.lines().filter(|line| line.starts_with("//!")).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn a_feature_that_the_page_does_not_name_is_a_fault() {
        let file = std::env::temp_dir().join(format!("xtask-features-{}/src/lib.rs", std::process::id()));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "//! With `fast`, it is fast.\npub const SLOW: &str = \"`slow`\";").unwrap();
        let package = serde_json::json!({
            "name": "made-up", "features": {"default": [], "fast": [], "slow": []}, "targets": [{"src_path": file}],
        });
        assert_eq!(super::unnamed(&package), ["features: the page of \"made-up\" does not name `slow`"]);
    }
}
