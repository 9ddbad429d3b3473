//! Patterns against what Python 3.11 makes of them. The table was made by its module `re`.
#![allow(clippy::unwrap_used)]

use super::{Flags, PatternError, Regex};

/// Pattern, flags, text, replacement; groups of every find, the text after replacing; Python's error. A case that the
/// engine can't do says "unsupported".
type Case = (String, String, String, String, Option<Vec<Vec<Option<String>>>>, Option<String>, Option<String>);

type Found = (Vec<Vec<Option<String>>>, String);

fn found((pattern, flags, text, replacement, ..): &Case) -> Result<Found, PatternError> {
    let flags = Flags::new(flags.contains('i'), flags.contains('m'), flags.contains('s'));
    let regex = Regex::new(pattern, flags, text)?;
    let mut all = Vec::new();
    for found in regex.all() {
        let found = found?;
        let group = |group| regex.group(&found, group).map(|part| part.map(str::to_owned));
        all.push((0..=regex.groups()).map(group).collect::<Result<_, _>>()?);
    }
    let template = regex.template(replacement)?;
    Ok((all, regex.replaced::<PatternError>(&template, 0, || Ok(()))?))
}

#[test]
fn every_pattern_finds_and_replaces_what_it_does_in_python() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../../tests/data/python_patterns.json")).unwrap();
    assert!(cases.len() > 350);
    for case in &cases {
        let (.., all, replaced, error) = case;
        match (found(case), error.as_deref()) {
            (Ok((found, text)), None) => {
                assert_eq!((Some(&found), Some(&text)), (all.as_ref(), replaced.as_ref()), "{case:?}");
            }
            (Err(PatternError::Python { what, .. }), Some(error)) => assert_eq!(what, error, "{case:?}"),
            (Err(PatternError::Unsupported(_)), Some("unsupported")) => {}
            (found, _) => panic!("{case:?}: {found:?}"),
        }
    }
}

#[test]
fn a_search_without_end_is_given_up() {
    for (pattern, text) in
        [("(x+x+)+y(?!z)", "x".repeat(200)), ("(?<!q)(\\w+,?\\s?)+(?=!)", "lorem ipsum, ".repeat(2000))]
    {
        let regex = Regex::new(pattern, Flags::default(), &text).unwrap();
        assert!(matches!(regex.first(), Err(PatternError::Endless(_))), "{pattern}");
    }
    // Without look-around and references there is no way back, and so no bound.
    let text = "a".repeat(100_000);
    assert!(Regex::new("(a+)+$", Flags::default(), &text).unwrap().first().unwrap().is_some());
}

#[test]
fn a_hostile_pattern_is_an_error() {
    let deep = "(".repeat(100_000);
    let large = format!("(?:{}){{1000}}", "a{1000}".repeat(1000));
    for pattern in [deep.as_str(), &large, &"[".repeat(100_000), &"a|".repeat(200_000).replace("a|", "(?=")] {
        assert!(Regex::new(pattern, Flags::default(), "text").is_err());
    }
}
