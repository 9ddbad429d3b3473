//! Extra model paths: the model folders that a YAML file names, as ComfyUI reads `extra_model_paths.yaml`.
//!
//! A section holds a `base_path` (`~` and variables expanded, relative to the YAML file), `is_default`, and for each kind
//! of model one folder per line. Knows nothing of what a kind means, and looks into none of the folders.

use std::fmt;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use indexmap::IndexMap;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::FileError;

/// The largest file that is read. People's own have a few kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// One folder that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtraFolder {
    /// The kind of model as written: `loras`, `unet`.
    pub(super) kind: String,
    /// Absolute, without `.` and `..`.
    pub(super) folder: PathBuf,
    /// Whether it is searched before those that are known already.
    pub(super) first: bool,
}

type File = Option<IndexMap<String, Option<Section>>>;
type Section = IndexMap<String, Spanned<Value>>;

/// What stands behind a name, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nothing,
    Switch(bool),
    Number(f64),
    Text(String),
    List(bool),
    Section(bool),
}

/// Reads the YAML file `path`.
///
/// # Errors
/// [`FileError::Io`] if it can't be read; [`FileError::ExtraPaths`], with the line where there is one, for a file beyond
/// 1 MiB, text that is no UTF-8 or no YAML, aliases that repeat without end, and values that are no folders.
pub(super) fn read(path: &Path) -> Result<Vec<ExtraFolder>, FileError> {
    let text = text(path)?;
    let sections: File = serde_saphyr::from_str_with_options(&text, options()).map_err(|error| broken(path, &error))?;
    let beside = normal(path).parent().map(Path::to_path_buf).unwrap_or_default();
    let mut folders = Vec::new();
    for section in sections.into_iter().flatten().filter_map(|(_, section)| section) {
        add_section(&mut folders, section, path, &beside)?;
    }
    Ok(folders)
}

fn text(path: &Path) -> Result<String, FileError> {
    let unread = |error| FileError::io("read", path, error);
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(wrong(path, None, "more than 1 MiB, which is no list of model folders"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        wrong(path, Some(line as u64), "a byte that is no UTF-8; save the file as UTF-8")
    })
}

/// A name that stands twice means what its last one says, as in Python's reader. Without pieces of the text in errors.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    }
}

fn add_section(
    folders: &mut Vec<ExtraFolder>,
    mut section: Section,
    path: &Path,
    beside: &Path,
) -> Result<(), FileError> {
    let base = section.shift_remove("base_path");
    let base = base.map(|base| text_of("base_path", &base, path)).transpose()?;
    let base = base.map_or_else(|| beside.to_path_buf(), |base| beside.join(expanded(&base, variable)));
    let first = section.shift_remove("is_default").is_some_and(|switch| switch.value.is_true());
    for (kind, value) in section {
        for line in text_of(&kind, &value, path)?.split('\n').filter(|line| !line.is_empty()) {
            folders.push(ExtraFolder { kind: kind.clone(), folder: normal(&base.join(line)), first });
        }
    }
    Ok(())
}

fn text_of(name: &str, value: &Spanned<Value>, path: &Path) -> Result<String, FileError> {
    let found = match &value.value {
        Value::Text(text) => return Ok(text.clone()),
        other => other,
    };
    let how = if name == "base_path" { "write one folder" } else { "write one folder, or after `|` one per line" };
    Err(wrong(path, Some(value.referenced.line()), format!("`{name}` is {found}; {how}")))
}

fn broken(path: &Path, error: &serde_saphyr::Error) -> FileError {
    let line = error.location().map(|place| place.line());
    wrong(path, line, error.without_snippet().to_string())
}

fn wrong(path: &Path, line: Option<u64>, detail: impl Into<String>) -> FileError {
    FileError::ExtraPaths { path: path.to_path_buf(), line, detail: detail.into() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// `~` in front is the home folder; `$NAME` and `${NAME}` are variables. What isn't set stays as it is.
fn expanded(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let home = if text == "~" || text.starts_with("~/") { variable("HOME") } else { None };
    let (mut out, mut rest) = match &home {
        Some(home) => (home.trim_end_matches('/').to_owned(), &text[1..]),
        None => (String::new(), text),
    };
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let (whole, name) = reference(&rest[at..]);
        match name.and_then(&variable) {
            Some(value) => out.push_str(&value),
            None => out.push_str(whole),
        }
        rest = &rest[at + whole.len()..];
    }
    out + rest
}

/// The reference that `text`, which starts with a `$`, starts with, and the name in it.
fn reference(text: &str) -> (&str, Option<&str>) {
    let behind = &text[1..];
    if let Some(inside) = behind.strip_prefix('{') {
        return inside.find('}').map_or((&text[..1], None), |end| (&text[..end + 3], Some(&inside[..end])));
    }
    let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
    (&text[..=end], (end > 0).then(|| &behind[..end]))
}

/// `path` from the root, without `.` and `..`. Links are not followed.
pub(super) fn normal(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

impl Value {
    /// Whether Python takes it for true.
    fn is_true(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Switch(on) | Self::List(on) | Self::Section(on) => *on,
            Self::Number(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("empty"),
            Self::Switch(on) => write!(f, "the switch {on}"),
            Self::Number(number) => write!(f, "the number {number}"),
            Self::Text(text) => write!(f, "`{text}`"),
            Self::List(_) => f.write_str("a list"),
            Self::Section(_) => f.write_str("a section of its own"),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a folder")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Value, E> {
        Ok(Value::Switch(on))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut any = false;
        while items.next_element::<IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(Value::List(any))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut any = false;
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            any = true;
        }
        Ok(Value::Section(any))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(name: &str) -> Option<String> {
        let set = [("HOME", "/home/me"), ("DISK", "/mnt/$HOME"), ("N_1", "one"), ("a b", "two")];
        set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn home_and_variables_are_expanded_as_python_does() {
        for (text, right) in [
            ("~", "/home/me"),
            ("~/models", "/home/me/models"),
            ("~nobody-of-that-name/x", "~nobody-of-that-name/x"),
            ("a/~", "a/~"),
            ("$DISK/x", "/mnt/$HOME/x"),
            ("${DISK}x", "/mnt/$HOMEx"),
            ("x${a b}y$N_1-$N_1", "xtwoyone-one"),
            ("$UNSET/$/${UNSET}/${open", "$UNSET/$/${UNSET}/${open"),
            ("$$N_1", "$one"),
            ("", ""),
        ] {
            assert_eq!(expanded(text, set), right, "{text}");
        }
    }

    fn of(text: &[u8]) -> Result<Vec<(String, String, bool)>, String> {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("extra.yaml");
        std::fs::write(&file, text).unwrap();
        let folders =
            read(&file).map_err(|error| error.to_string().replace(&*root.path().to_string_lossy(), "ROOT"))?;
        let seen = |folder: PathBuf| folder.to_string_lossy().replace(&*root.path().to_string_lossy(), "ROOT");
        Ok(folders.into_iter().map(|f| (f.kind, seen(f.folder), f.first)).collect())
    }

    #[test]
    fn sections_name_folders_by_kind_in_the_order_of_their_lines() {
        let text = "# mine\nempty:\na111:\n  base_path: other/\n  loras: |\n    models/Lora\n\n    ../up/./LyCORIS\n  vae: /abs\n\
                    next:\n  is_default: yes\n  unet: \"x/y\"\n  custom_nodes: nodes\nlast: {base_path: \"\", clip: a b}\n";
        let right = [
            ("loras", "ROOT/other/models/Lora", false),
            ("loras", "ROOT/up/LyCORIS", false),
            ("vae", "/abs", false),
            ("unet", "ROOT/x/y", true),
            ("custom_nodes", "ROOT/nodes", true),
            ("clip", "ROOT/a b", false),
        ];
        let right: Vec<_> = right.iter().map(|(k, f, d)| ((*k).to_owned(), (*f).to_owned(), *d)).collect();
        assert_eq!(of(text.as_bytes()).unwrap(), right);
        let marked = [b"\xef\xbb\xbf", text.replace('\n', "\r\n").as_bytes()].concat();
        assert_eq!(of(&marked).unwrap(), right, "a byte order mark, and lines as Windows ends them");
    }

    #[test]
    fn anchors_merges_and_repeated_names_mean_what_python_takes_them_for() {
        let text = "a: &a\n  base_path: one\n  loras: x\nb:\n  <<: *a\n  base_path: two\nc:\n  loras: old\nc:\n  vae: new\n  is_default: 0\n";
        let folders = of(text.as_bytes()).unwrap();
        let mut folders: Vec<_> = folders.iter().map(|(kind, folder, _)| (kind.as_str(), folder.as_str())).collect();
        folders.sort_unstable();
        assert_eq!(folders, [("loras", "ROOT/one/x"), ("loras", "ROOT/two/x"), ("vae", "ROOT/new")]);
        assert_eq!(of(b"# nothing but a comment\n").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_folders_is_refused_with_file_and_line() {
        let nested = "[".repeat(100_000);
        let aliases = (1..40).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)).collect::<Vec<_>>().concat();
        let bomb = format!("a0: &a0 [x, x]\n{aliases}");
        let values = bomb.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
        for (text, parts) in [
            ("a:\n  loras: 7\n", &["line 2", "`loras` is the number 7", "one per line"][..]),
            ("a:\n  vae: x\n  loras:\n    - x\n", &["line 4", "`loras` is a list"]),
            ("a:\n  base_path: {b: c}\n", &["line 2", "`base_path` is a section"]),
            ("a:\n  base_path:\n  loras: x", &["line 2", "`base_path` is empty"]),
            ("a:\n  clip: true\n", &["line 2", "`clip` is the switch true"]),
            ("a: models\n", &["line 1"]),
            ("- a\n- b\n", &["line 1"]),
            ("just words", &["line 1"]),
            ("a:\n  loras: \"open\n", &["line"]),
            ("a: x: y\n", &["line 1"]),
            ("a:\n\tloras: x\n", &["line"]),
            ("a:\n  loras: *nowhere\n", &["line 2"]),
            ("a: &a\n  b: *a\n", &["line"]),
            ("a: &a\n  <<: *a\n", &["line"]),
            ("a:\n  loras: x\n---\nb:\n  loras: y\n", &["line"]),
            (&nested, &["line 1"]),
            (&bomb, &["line"]),
            (&format!("s:\n{values}"), &["line"]),
        ] {
            let error = of(text.as_bytes()).unwrap_err();
            let start = &text[..text.len().min(40)];
            assert!(error.starts_with("`ROOT/extra.yaml`") && error.len() < 400, "{start}: {error}");
            assert!(parts.iter().all(|part| error.contains(part)), "{start}: {error}");
            assert_eq!(error.lines().count(), 1, "{start}: {error}");
        }
        let error = of(b"a:\n  loras: caf\xe9\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("UTF-8"), "{error}");
        assert!(of(&vec![b'#'; 2 << 20]).unwrap_err().contains("1 MiB"));
        assert!(of(b"\xff\xfea\0:\0").is_err());
    }
}
