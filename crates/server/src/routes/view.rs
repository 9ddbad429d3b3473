//! `/view`: a file that graphs or users made, as it is or in another coding.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::ServeFile;

use crate::files::media;
use crate::files::place::Named;
use crate::files::thumbnail::Coding;
use crate::http::answer::{Answer, Refusal};
use crate::http::blocking::blocking;
use crate::state::App;

pub(crate) async fn view(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    let (session, asked) = (Arc::clone(&app.session), query.clone());
    let path = blocking(move || {
        let text = |key: &str| asked.get(key).map(String::as_str);
        let filename = text("filename").ok_or_else(Refusal::missing)?;
        let (kind, subfolder) = (text("type").unwrap_or("output"), text("subfolder").unwrap_or_default());
        Named { filename, kind, subfolder }.find(session.environment().folders())
    })
    .await?;
    let text = |key: &str| query.get(key).map(String::as_str);
    match Coding::asked(text("preview"), text("channel").unwrap_or_default()) {
        Some(coding) => coded(path, coding).await,
        None => as_it_is(&path, request).await,
    }
}

async fn coded(path: PathBuf, coding: Coding) -> Answer {
    blocking(move || {
        let image = coding.of(&path).map_err(|error| Refusal::Said(StatusCode::BAD_REQUEST, error.to_string()))?;
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static(coding.media())),
            (header::CONTENT_DISPOSITION, disposition(&path, false)),
        ];
        Ok((headers, image).into_response())
    })
    .await
}

/// With ranges and times as a file server has them. What a browser could run is only kept.
async fn as_it_is(path: &Path, request: Request) -> Answer {
    let tag = tag(path).await;
    let known = request.headers().get(header::IF_NONE_MATCH);
    if let Some(tag) = tag.clone().filter(|tag| known == Some(tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let is_picture = request.headers().get("sec-fetch-dest").is_some_and(|to| to == "image");
    let svg = media::of(path) == "image/svg+xml" && is_picture;
    let mut response = match ServeFile::new(path).oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    };
    label(path, svg, response.headers_mut());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok::<Response, Refusal>(response)
}

fn label(path: &Path, svg: bool, headers: &mut HeaderMap) {
    let kind = if svg { "image/svg+xml" } else { media::of_made(path) };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let kept = !svg && media::is_active(path);
    headers.insert(header::CONTENT_DISPOSITION, disposition(path, kept));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if svg {
        headers.insert(header::VARY, HeaderValue::from_static("Sec-Fetch-Dest"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// `filename="…"`, for files that are to be kept with `attachment`.
fn disposition(path: &Path, kept: bool) -> HeaderValue {
    let name = path.file_name().unwrap_or_default().to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    let kept = if kept { "attachment; " } else { "" };
    HeaderValue::from_str(&format!("{kept}filename=\"{name}\"")).unwrap_or(HeaderValue::from_static("attachment"))
}

/// Changes with a file's size and time.
async fn tag(path: &Path) -> Option<HeaderValue> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    HeaderValue::from_str(&format!("\"{:x}-{:x}\"", modified.as_nanos(), metadata.len())).ok()
}
