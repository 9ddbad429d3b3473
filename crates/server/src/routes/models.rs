//! Model folders: what lies in them, what the files say of themselves.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kiln_nodes::files::Folders;
use serde_json::{Value, json};

use crate::files::listing::{Found, below};
use crate::files::place::inside;
use crate::files::thumbnail::Coding;
use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::state::App;

/// The kind after which ComfyUI lists its packs of nodes.
const BEFORE_PACKS: &str = "latent_upscale_models";
/// ComfyUI's packs of nodes, of which there are none.
const PACKS: &str = "custom_nodes";
/// The largest header that is read for its metadata.
const LARGEST_HEADER: u64 = 1 << 20;
/// ComfyUI's quality of pictures of models.
const QUALITY: u8 = 75;
/// Endings of pictures beside a model.
const PICTURES: &[&str] = &["png", "jpg", "jpeg", "webp", "gif", "bmp"];

/// Work with folders, away from the connections.
async fn with_folders<T: Send + 'static>(
    app: App,
    work: impl FnOnce(&Folders) -> Answer<T> + Send + 'static,
) -> Answer<T> {
    let session = Arc::clone(&app.session);
    blocking(move || work(session.environment().folders())).await
}

fn has(folders: &Folders, kind: &str) -> Answer<()> {
    if folders.kinds().any(|known| known == kind) { Ok(()) } else { Err(Refusal::missing()) }
}

pub(crate) async fn kinds(State(app): State<App>) -> Json<Vec<String>> {
    let mut kinds: Vec<String> = app.session.environment().folders().kinds().collect();
    let after = kinds.iter().position(|kind| kind == BEFORE_PACKS).map_or(kinds.len(), |place| place + 1);
    if !kinds.iter().any(|kind| kind == PACKS) {
        kinds.insert(after, PACKS.into());
    }
    Json(kinds)
}

pub(crate) async fn of_kind(State(app): State<App>, Path(kind): Path<String>) -> Answer<Json<Vec<String>>> {
    with_folders(app, move |folders| {
        if kind == PACKS {
            return Ok(Json(Vec::new()));
        }
        has(folders, &kind)?;
        Ok(Json(folders.models(&kind)))
    })
    .await
}

/// Embeddings without their endings.
pub(crate) async fn embeddings(State(app): State<App>) -> Answer<Json<Vec<String>>> {
    with_folders(app, |folders| {
        let bare = |name: String| name.rsplit_once('.').map_or(name.clone(), |(bare, _)| bare.to_owned());
        Ok(Json(folders.models("embeddings").into_iter().map(bare).collect()))
    })
    .await
}

pub(crate) async fn library(State(app): State<App>) -> Answer<Json<Vec<Value>>> {
    with_folders(app, |folders| {
        let kinds = folders.kinds().filter(|kind| !["configs", PACKS].contains(&&**kind));
        Ok(Json(kinds.map(|kind| json!({"name": kind, "folders": absolute(folders, &kind)})).collect()))
    })
    .await
}

fn absolute(folders: &Folders, kind: &str) -> Vec<PathBuf> {
    let folders = folders.model_folders(kind);
    folders.iter().map(|folder| std::path::absolute(folder).unwrap_or(folder.clone())).collect()
}

/// All folders of all kinds, for the page's list of missing models.
pub(crate) async fn paths(State(app): State<App>) -> Answer<Json<Value>> {
    with_folders(app, |folders| {
        Ok(Json(
            folders
                .kinds()
                .map(|kind| {
                    let places = json!(absolute(folders, &kind));
                    (kind, places)
                })
                .collect(),
        ))
    })
    .await
}

/// The models of a kind with their folder's place, sizes and times.
pub(crate) async fn details(State(app): State<App>, Path(kind): Path<String>) -> Answer<Json<Vec<Value>>> {
    with_folders(app, move |folders| {
        has(folders, &kind)?;
        let mut names: HashSet<String> = folders.models(&kind).into_iter().collect();
        let mut models = Vec::new();
        let roots = folders.model_folders(&kind);
        for (index, folder) in roots.iter().enumerate() {
            let found = below(folder, true).into_iter().filter(|found| names.contains(&found.path));
            models.extend(found.map(|found| (index, found)));
        }
        for (_, found) in &models {
            names.remove(&found.path);
        }
        // Single files, which lie in none of the folders.
        let mut single: Vec<String> = names.into_iter().collect();
        single.sort();
        let found = single.into_iter().filter_map(|path| {
            let metadata = folders.model(&kind, &path).ok()?.metadata().ok()?;
            Some((roots.len(), Found { path, metadata }))
        });
        models.extend(found);
        Ok(Json(models.iter().map(|(index, found)| detail(*index, found)).collect()))
    })
    .await
}

fn detail(index: usize, found: &Found) -> Value {
    json!({
        "name": found.path,
        "pathIndex": index,
        "modified": found.modified(),
        "created": found.created(),
        "size": found.metadata.len(),
    })
}

/// The picture beside a model, else the first one in the file's own metadata, as WEBP.
pub(crate) async fn picture(
    State(app): State<App>,
    Path((kind, index, name)): Path<(String, usize, String)>,
) -> Answer {
    with_folders(app, move |folders| {
        let folder = folders.model_folders(&kind).get(index).cloned().ok_or_else(Refusal::missing)?;
        let model = folder.join(inside(&name).ok_or_else(Refusal::missing)?);
        let endings = PICTURES.iter().flat_map(|ending| [(*ending).to_owned(), format!("preview.{ending}")]);
        let found = endings.map(|ending| model.with_extension(ending)).find(|path| path.is_file());
        let webp = Coding::Webp { colours_only: false, quality: QUALITY };
        let bytes = match found {
            Some(picture) => webp.of(&picture).ok(),
            None => cover(&model.with_extension("safetensors")).and_then(|cover| webp.of_bytes(&cover).ok()),
        };
        let bytes = bytes.ok_or_else(Refusal::missing)?;
        Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(webp.media()))], bytes).into_response())
    })
    .await
}

/// The first picture that a safetensors file carries: a list of them in base 64, as JSON in JSON.
fn cover(model: &FilePath) -> Option<Vec<u8>> {
    let metadata = header_of(model)?;
    let covers: Vec<String> = serde_json::from_str(metadata.get("ssmd_cover_images")?.as_str()?).ok()?;
    let first = covers.first()?;
    // Some write an address of the kind `data:image/png;base64,…`.
    let first = first.rsplit_once(',').map_or(first.as_str(), |(_, picture)| picture);
    STANDARD.decode(first).ok()
}

/// What a safetensors file says of itself.
pub(crate) async fn metadata(
    State(app): State<App>,
    Path(kind): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer<Json<Value>> {
    with_folders(app, move |folders| {
        let name = query.get("filename").filter(|name| name.contains(".safetensors")).ok_or_else(Refusal::missing)?;
        has(folders, &kind)?;
        let file = folders.model(&kind, name).map_err(|_| Refusal::missing())?;
        header_of(&file).map(Json).ok_or_else(Refusal::missing)
    })
    .await
}

/// The metadata in the file's header.
fn header_of(file: &FilePath) -> Option<Value> {
    let mut file = File::open(file).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER {
        return None;
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).ok()?;
    let mut header: Value = serde_json::from_slice(&header).ok()?;
    header.get_mut("__metadata__").map(Value::take).filter(Value::is_object)
}
