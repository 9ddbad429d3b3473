//! What a user keeps: files in a folder of theirs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::files::listing::{Found, below};
use crate::files::place::{inside, really_inside};
use crate::files::{media, store};
use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::state::App;

type Asked = Query<HashMap<String, String>>;

fn is(query: &Asked, key: &str) -> bool {
    query.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn said(status: StatusCode, words: &str) -> Refusal {
    Refusal::Said(status, words.into())
}

/// The path that a name means in the user's folder. Pages encode it a second time.
fn path(root: &FilePath, name: &str) -> Answer<PathBuf> {
    let name = percent_decode_str(name).decode_utf8().map_err(|_| Refusal::bad())?;
    let inner = inside(&name).ok_or_else(Refusal::forbidden)?;
    let path = root.join(inner);
    // A user who has kept nothing yet has no folder.
    if root.exists() && !really_inside(&path, root) {
        return Err(Refusal::forbidden());
    }
    Ok(path)
}

/// The names in a folder.
pub(crate) async fn list(State(app): State<App>, query: Asked, headers: HeaderMap) -> Answer {
    let root = app.user(&headers)?;
    blocking(move || {
        let dir = query.get("dir").filter(|dir| !dir.is_empty());
        let dir = dir.ok_or_else(|| said(StatusCode::BAD_REQUEST, "Directory not provided"))?;
        let folder = path(&root, dir)?;
        if !folder.is_dir() {
            return Err(said(StatusCode::NOT_FOUND, "Directory not found"));
        }
        let found = below(&folder, is(&query, "recurse"));
        let files = found.iter().filter(|found| found.metadata.is_file());
        let (full, split) = (is(&query, "full_info"), is(&query, "split"));
        let listed: Vec<Value> = files
            .map(|found| match (full, split) {
                (true, _) => info(found, &found.path),
                (_, true) => std::iter::once(&*found.path).chain(found.path.split('/')).collect(),
                _ => json!(found.path),
            })
            .collect();
        Ok(Json(listed).into_response())
    })
    .await
}

fn info(found: &Found, path: &str) -> Value {
    json!({
        "path": path,
        "size": found.metadata.len(),
        "modified": found.modified(),
        "created": found.created(),
    })
}

/// Folders and files below a folder, folders first.
pub(crate) async fn tree(State(app): State<App>, query: Asked, headers: HeaderMap) -> Answer {
    let root = app.user(&headers)?;
    blocking(move || {
        let asked = query.get("path").map_or("", String::as_str);
        let folder = path(&root, asked).map_err(|_| Refusal::bad())?;
        if !folder.exists() {
            return if asked.is_empty() { Ok(Json(json!([])).into_response()) } else { Err(Refusal::missing()) };
        }
        if !folder.is_dir() {
            return Err(Refusal::bad());
        }
        let mut found = below(&folder, true);
        let name = |found: &Found| found.path.rsplit('/').next().unwrap_or_default().to_owned();
        found.sort_by_cached_key(|found| (found.metadata.is_file(), name(found).to_lowercase()));
        let prefix = folder.strip_prefix(&root).map(FilePath::to_path_buf).unwrap_or_default();
        let listed = found.iter().map(|found| {
            let path = prefix.join(&found.path).to_string_lossy().replace('\\', "/");
            let mut item = json!({"name": name(found), "path": path, "type": "directory"});
            if found.metadata.is_file() {
                item["type"] = "file".into();
                item["size"] = found.metadata.len().into();
                item["modified"] = found.modified().into();
            }
            item
        });
        Ok(Json(listed.collect::<Vec<_>>()).into_response())
    })
    .await
}

pub(crate) async fn read(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Answer {
    let root = app.user(&headers)?;
    blocking(move || {
        let path = path(&root, &name)?;
        let bytes = if path.is_file() { fs::read(&path).ok() } else { None };
        let bytes = bytes.ok_or_else(Refusal::missing)?;
        // The page asks for a style sheet and for texts, which nobody else has written.
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(media::of(&path)))], bytes).into_response())
    })
    .await
}

pub(crate) async fn write(
    State(app): State<App>,
    Path(name): Path<String>,
    query: Asked,
    headers: HeaderMap,
    text: Bytes,
) -> Answer {
    let root = app.user(&headers)?;
    blocking(move || {
        let path = path(&root, &name)?;
        make_room(&root, &path, query.get("overwrite"))?;
        store::replace(&path, &text).map_err(|error| said(StatusCode::BAD_REQUEST, &error.to_string()))?;
        written(&root, &path, is(&query, "full_info"))
    })
    .await
}

pub(crate) async fn delete(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Answer<StatusCode> {
    let root = app.user(&headers)?;
    blocking(move || {
        let path = path(&root, &name)?;
        if !path.is_file() {
            return Err(Refusal::missing());
        }
        fs::remove_file(&path).map_err(|error| said(StatusCode::BAD_REQUEST, &error.to_string()))?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

pub(crate) async fn rename(
    State(app): State<App>,
    Path((from, to)): Path<(String, String)>,
    query: Asked,
    headers: HeaderMap,
) -> Answer {
    let root = app.user(&headers)?;
    blocking(move || {
        let (from, to) = (path(&root, &from)?, path(&root, &to)?);
        if !from.exists() || from == root {
            return Err(Refusal::missing());
        }
        make_room(&root, &to, query.get("overwrite"))?;
        fs::rename(&from, &to).map_err(|error| said(StatusCode::BAD_REQUEST, &error.to_string()))?;
        written(&root, &to, is(&query, "full_info"))
    })
    .await
}

/// Makes the folder of a file that is to be written; refuses to replace a file where that is not wanted.
fn make_room(root: &FilePath, path: &FilePath, overwrite: Option<&String>) -> Answer<()> {
    if path == root || path.is_dir() {
        return Err(said(StatusCode::BAD_REQUEST, "that is a folder"));
    }
    if path.exists() && overwrite.is_some_and(|overwrite| overwrite == "false") {
        return Err(said(StatusCode::CONFLICT, "File already exists"));
    }
    let folder = path.parent().unwrap_or(root);
    fs::create_dir_all(folder).map_err(|error| said(StatusCode::BAD_REQUEST, &error.to_string()))?;
    if really_inside(path, root) { Ok(()) } else { Err(Refusal::forbidden()) }
}

/// What is said of a file that was written: its path from the user's folder, or all that is known.
fn written(root: &FilePath, path: &FilePath, full: bool) -> Answer<Response> {
    let relative = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    if !full {
        return Ok(Json(relative).into_response());
    }
    let metadata = fs::metadata(path).map_err(|_| Refusal::missing())?;
    let found = Found { path: relative, metadata };
    Ok(Json(info(&found, &found.path)).into_response())
}
