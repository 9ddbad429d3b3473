//! The web page: the files of ComfyUI's own where somebody has installed it, and what it asks besides.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::files::listing::below;
use crate::files::place::{inside, really_inside};
use crate::http::answer::{Answer, Json, Refusal};
use crate::http::blocking::blocking;
use crate::state::App;

/// Shown where no page is installed.
const NO_PAGE: &str = "<!doctype html><meta charset=\"utf-8\"><title>Kiln</title>\
    <p>Kiln serves ComfyUI's routes here. Its web page is not installed: <code>pip install comfyui-frontend-package</code> \
    and start again, or name its folder with <code>--front-end-root</code>.</p>";

/// What answers where no route does.
pub(crate) fn page(folder: Option<&Path>) -> Router<App> {
    let Some(folder) = folder else {
        return Router::new().route("/", axum::routing::get(async || Html(NO_PAGE)));
    };
    let files = ServeDir::new(folder).append_index_html_on_directories(true);
    Router::new().fallback_service(files).layer(middleware::from_fn(never_kept))
}

/// The page itself is asked for each time; its parts have names of their own.
async fn never_kept(request: Request, next: Next) -> Response {
    let is_page = request.uri().path() == "/";
    let mut response = next.run(request).await;
    if is_page {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, must-revalidate"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        headers.insert(header::EXPIRES, HeaderValue::from_static("0"));
    }
    response
}

/// The scripts in the page's folder of extensions.
pub(crate) async fn extensions(State(app): State<App>) -> Answer {
    let folder = app.config.front_end.as_ref().map(|folder| folder.join("extensions"));
    blocking(move || {
        let found = folder.map(|folder| below(&folder, true)).unwrap_or_default();
        let scripts = found.iter().filter(|found| Path::new(&found.path).extension().is_some_and(|end| end == "js"));
        let urls: Vec<String> = scripts.map(|found| format!("/extensions/{}", found.path)).collect();
        Ok(Json(urls).into_response())
    })
    .await
}

/// A template's graph or picture. Where none are installed the page's list of them is empty.
pub(crate) async fn template(State(app): State<App>, UrlPath(name): UrlPath<String>, request: Request) -> Answer {
    if app.config.templates.is_empty() && name == "index.json" {
        return Ok(Json(json!([])).into_response());
    }
    file_in(&app.config.templates, &name, request).await
}

/// A text about a node.
pub(crate) async fn help(State(app): State<App>, UrlPath(name): UrlPath<String>, request: Request) -> Answer {
    file_in(app.config.help.as_slice(), &name, request).await
}

/// A file of the first folder that has it.
async fn file_in(folders: &[PathBuf], name: &str, request: Request) -> Answer {
    let name = inside(name).ok_or_else(Refusal::missing)?;
    let found = folders.iter().map(|folder| (folder, folder.join(&name))).find(|(_, path)| path.is_file());
    let (folder, path) = found.ok_or_else(Refusal::missing)?;
    if !really_inside(&path, folder) {
        return Err(Refusal::forbidden());
    }
    match ServeFile::new(path).oneshot(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(never) => match never {},
    }
}

/// What only packs of nodes have, of which there are none.
pub(crate) async fn nothing() -> Json<Value> {
    Json(json!({}))
}
